"""A noisy quadratic under SGD with decay: the exact risk beside the simulated one, over a sweep of weight decays."""

import numpy as np

import ematheory as em

problem = em.NoisyQuadratic(curvature=1 / np.arange(1, 101), noise="curvature", optimum=0.5, batch_size=4)
optimizer = em.SGD(lr=0.5, momentum=0.5, weight_decay=[0.0, 0.003, 0.03])
run = dict(steps=400, schedule=em.Cosine(final=0.1, warmup=0.05), record=em.every(100))

predicted = em.predict(problem, optimizer, **run)
measured = em.simulate(problem, optimizer, **run, replicas=512, seed=0)
z = em.compare(measured, predicted).risk_z

print("weight_decay  step  predicted  measured     z")
for decay in measured.weight_decay.values:
    for step in measured.step.values[1:]:
        where = dict(weight_decay=decay, step=step)
        print(
            f"{decay:12g}  {step:4d}  {float(predicted.risk.sel(where)):9.5f}  "
            f"{float(measured.risk.sel(where)):8.5f}  {float(z.sel(where)):+5.2f}"
        )
