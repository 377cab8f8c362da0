"""What timescale does a run's weight decay set, and what does it do when the data grow fourfold?

AdamW's weights average the last 1/(ηλ) updates. The share of the run that this is says what is left of the start.
"""

import ematheory as em

recipe = dict(lr=3e-4, weight_decay=0.1, batch_size=4e6, schedule=em.Cosine(final=0.1))

for tokens in (0.5e12, 2e12):
    run = em.Recipe(**recipe, dataset_size=tokens).timescale()
    print(f"{tokens:.1e} tokens")
    for name, part in (("at the peak rate", run.peak), ("over the schedule", run.schedule)):
        print(
            f"  {name:18} {part.steps:10.0f} steps = {part.run_fraction:.3f} of the run, "
            f"initial weight left {part.initial_weight_left:.2e}"
        )

# Check the share of the initial weight against the product that AdamW itself forms, step by step.
steps = 500_000
lr = 3e-4 * em.Cosine(final=0.1).multipliers(steps)
initial, coefficients = em.ema_coefficients(lr, 0.1)
print(f"initial weight left, predicted {run.schedule.initial_weight_left:.6e}, product over steps {initial:.6e}")
print(f"the coefficients sum to {initial + coefficients.sum():.15f}")
