"""Judge one claim at every level that it has, and read what each verdict rests on."""

import ematheory as em

judged = em.validate("C26", tier="smoke")

for row in judged.verdicts:
    print(f"{row['claim']} {row['level']}: {row['verdict']} (expected {row['expected']})")
    for comparison in row["comparisons"]:
        residual, bound = comparison["residual"], comparison["bound"]
        print(f"    {comparison['what']}: prediction off by {residual:.2g}, allowed {bound:.2g}")

print("as expected" if not judged.contradictions else judged.contradictions)
