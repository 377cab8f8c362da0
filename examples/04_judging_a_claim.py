"""Judge one claim at every level that it has, and read what each verdict rests on."""

import ematheory as em

judged = em.validate("C26", tier="smoke")

for row in judged.verdicts:
    print(f"{row['claim']} {row['level']}: {row['verdict']} (expected {row['expected']})")
    for comparison in row["comparisons"]:
        # A control is a prediction that must fail: here, a number carried over from another convention as it stands.
        rule = "must exceed" if comparison["rule"] == "control" else "allowed"
        print(f"    {comparison['what']}: off by {comparison['residual']:.2g}, {rule} {comparison['bound']:.2g}")

print("as expected" if not judged.contradictions else judged.contradictions)
