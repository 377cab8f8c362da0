"""Weights whose scale does not matter learn at η/‖w‖²: a signal and its noise, beside what two simpler models predict.

Noise sets the norm (ScaleInvariant), the norm sets the rate, and the rate sets the risk (NoisyQuadratic, near the
optimum), which sees of η and λ only ηλ. What is left out is of the order of the rate: the signal's own gradient.
"""

import numpy as np

import ematheory as em

curvature = np.r_[0.0, np.linspace(1.0, 3.0, 255)]
noise, steps = 1 / len(curvature), 4_000

print("    lr  weight_decay   norm: predicted  measured   risk: predicted  measured  standard error")
for lr, decay in ((0.02, 0.02), (0.04, 0.01), (0.01, 0.01)):
    optimizer = em.SGD(lr=lr, weight_decay=decay, decay="per_lr")
    norm = em.predict(em.ScaleInvariant(len(curvature), noise), optimizer, observables="weight_norm").weight_norm
    rate = lr / float(norm) ** 2 / (1 - lr * decay)
    risk = em.predict(em.NoisyQuadratic(curvature[1:], noise), em.SGD(lr=rate)).risk
    problem = em.RayleighQuotient(curvature, noise, init=float(norm) / len(curvature) ** 0.5)
    names = ("risk", "weight_norm")
    seen = em.simulate(problem, optimizer, steps=steps, record=[steps], observables=names).isel(step=-1)
    print(
        f"{lr:6g}  {decay:12g}  {float(norm):16.5f}  {float(seen.weight_norm):8.5f}  "
        f"{float(risk):16.6f}  {float(seen.risk):8.6f}  {float(seen.risk_sem):14.6f}"
    )
