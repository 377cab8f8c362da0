"""AdamW's weights are an exponential moving average of its updates: proved, then seen in torch on real images."""

import ematheory as em
from ematheory.training import crosschecks

proof = em.derive("adamw-ema")
print(proof.statement)
print(proof.verify())

# Train on scikit-learn's digits and average u_t = m̂/(√v̂ + ε), read from torch's own state, with weights c_t.
task, run = em.tasks.digits_mlp(width=64), dict(epochs=3, schedule=em.Cosine(final=0.1))
for optimizer in (em.AdamW(lr=3e-3, weight_decay=1.0), em.Adam(lr=3e-3, weight_decay=1.0)):
    check = crosschecks.moving_average(task, optimizer, **run)
    print(
        f"{type(optimizer).__name__:5}: largest |average − torch's weight| / max|w| = {check.residual:.1e} "
        f"after {check.steps} steps; rounding explains at most {check.bound:.1e}"
    )
print(f"initial weight left: {check.initial_left_coefficients:.4f}")
