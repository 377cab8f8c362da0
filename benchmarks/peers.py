"""The same run as users of JAX, torch, NumPy and Numba would write it well.

Each takes the number of replicas and the dtype and returns a prepared run of so many updates, which gives the weights,
(replicas, coordinates). Threads, instruction set and wait policy are the process's, set before it imports anything
(worker.py).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from setting import (
    BETA1,
    BETA2,
    COORDINATES,
    CURVATURE,
    DECAY,
    EPS,
    LR,
    Coefficients,
    Floats,
    Run,
    coefficients,
    rates,
)


def jax_scan(replicas: int, dtype: str, generator: str, noise: str = "") -> Run:
    """A jitted `lax.scan` over the steps, with the generator named; `noise` is the normals' own dtype."""
    import jax
    import jax.numpy as jnp

    if dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    curvature = jnp.asarray(CURVATURE, dtype=dtype)
    scale = jnp.sqrt(curvature)

    def step(carry: Any, now: Any) -> Any:
        weight, first, second, key = carry
        key, own = jax.random.split(key)
        gradient = curvature * weight + scale * jax.random.normal(own, weight.shape, noise or dtype).astype(dtype)
        first = BETA1 * first + (1 - BETA1) * gradient
        second = BETA2 * second + (1 - BETA2) * (gradient * gradient)
        move = now.step_size * first / (jnp.sqrt(second * now.correction) + EPS)
        return (weight - now.decay * weight - move, first, second, key), None

    run = jax.jit(lambda carry, over: jax.lax.scan(step, carry, over)[0])
    zeros = jnp.zeros((replicas, COORDINATES), dtype=dtype)
    start = (zeros + 1, zeros, zeros, jax.random.key(0, impl=generator))
    over = Coefficients(*map(jnp.asarray, coefficients(dtype)))
    return lambda: jax.block_until_ready(run(start, over))[0]


def synchronize(device: str) -> None:
    """Wait for what torch has started on a GPU; on a CPU it has ended."""
    import torch

    if device != "cpu":
        torch.cuda.synchronize()


def torch_optim(replicas: int, kind: str, device: str = "cpu") -> Run:
    """`torch.optim.AdamW`, fused or foreach, its gradient filled in by hand."""
    import torch

    curvature = torch.tensor(CURVATURE, dtype=torch.float32, device=device)
    scale = curvature.sqrt()
    weight = torch.ones(replicas, COORDINATES, device=device, requires_grad=True)
    weight.grad = torch.zeros_like(weight)
    noise = torch.empty_like(weight.grad)
    how: dict[str, Any] = {kind: True}
    optimizer = torch.optim.AdamW([weight], lr=LR, weight_decay=DECAY, betas=(BETA1, BETA2), eps=EPS, **how)

    def run() -> Any:
        with torch.no_grad():
            for lr in rates().tolist():
                optimizer.param_groups[0]["lr"] = lr
                torch.mul(curvature, weight, out=weight.grad)
                weight.grad.addcmul_(noise.normal_(), scale)
                optimizer.step()
        synchronize(device)
        return weight.detach()

    return run


def torch_compiled(replicas: int, device: str = "cpu") -> Run:
    """The step as one compiled function; what changes comes as tensors, so that it is compiled once.

    On a CPU torch fills the normals: those that inductor makes inside of the function take some ten times as long. On a
    GPU they are made there, in the one kernel.
    """
    import torch

    curvature = torch.tensor(CURVATURE, dtype=torch.float32, device=device)
    scale, weight = curvature.sqrt(), torch.ones(replicas, COORDINATES, device=device)
    first, second, noise = (torch.zeros_like(weight) for _ in range(3))
    is_filled = device == "cpu"

    @torch.compile(dynamic=False)
    def step(step_size: Any, decay: Any, correction: Any) -> None:
        gradient = curvature * weight + scale * (noise if is_filled else torch.randn_like(weight))
        first.mul_(BETA1).add_(gradient, alpha=1 - BETA1)
        second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        weight.sub_(decay * weight + step_size * first / ((second * correction).sqrt() + EPS))

    over = [torch.from_numpy(row).to(device).unbind() for row in coefficients()]

    def run() -> Any:
        with torch.no_grad():
            for now in zip(*over, strict=True):
                if is_filled:
                    noise.normal_()
                step(*now)
        synchronize(device)
        return weight

    return run


def numpy_steps(size: slice, replicas: int, seed: int) -> Run:
    """NumPy in place on some of the coordinates, without a temporary array."""
    generator = np.random.Generator(np.random.SFC64(seed))
    curvature = CURVATURE[size].astype(np.float32)
    scale = np.sqrt(curvature)
    weight = np.ones((replicas, curvature.size), dtype=np.float32)
    first, second, gradient, spare = (np.zeros_like(weight) for _ in range(4))

    def run() -> Floats:
        for step_size, decay, correction in zip(*coefficients(), strict=True):
            generator.standard_normal(dtype=np.float32, out=gradient)
            np.multiply(gradient, scale, out=gradient)
            np.add(gradient, np.multiply(curvature, weight, out=spare), out=gradient)
            np.add(np.multiply(first, BETA1, out=first), np.multiply(gradient, 1 - BETA1, out=spare), out=first)
            np.multiply(np.multiply(gradient, gradient, out=gradient), 1 - BETA2, out=gradient)
            np.add(np.multiply(second, BETA2, out=second), gradient, out=second)
            np.add(np.sqrt(np.multiply(second, correction, out=spare), out=spare), EPS, out=spare)
            np.divide(np.multiply(first, step_size, out=gradient), spare, out=spare)
            np.subtract(weight, np.multiply(weight, decay, out=gradient), out=weight)
            np.subtract(weight, spare, out=weight)
        return weight

    return run


def numpy_in_place(replicas: int, threads: int) -> Run:
    """NumPy lets go of the interpreter in each operation, so threads each take a share of the coordinates."""
    edges = np.linspace(0, COORDINATES, threads + 1).astype(int)
    parts = [numpy_steps(slice(edges[n], edges[n + 1]), replicas, n) for n in range(threads)]
    if threads == 1:
        return parts[0]
    pool = ThreadPoolExecutor(threads)
    return lambda: np.concatenate(list(pool.map(lambda part: part(), parts)), axis=1)


def numba_tiles(replicas: int) -> Run:
    """Tiles of cells, each stepped through the whole run in cache, with a xoshiro128++ of each cell inlined.

    Box and Muller's two normals serve two steps; loops over a tile's cells are for LLVM to vectorise.
    """
    import numba

    tile, single, word = 250, np.float32, np.uint32
    beta1, beta2, eps, rest1, rest2 = map(single, (BETA1, BETA2, EPS, 1 - BETA1, 1 - BETA2))
    unit, turn, half, minus_two = map(single, (2.0**-32, 2 * np.pi * 2.0**-32, 0.5, -2.0))

    @numba.njit(inline="always")
    def rotated(x: Any, bits: int) -> Any:
        # Numba makes 64 bits of a sum or shift of 32.
        return word(word(x << word(bits)) | (x >> word(32 - bits)))

    @numba.njit(inline="always")
    def drawn(s: Any, i: int) -> Any:
        """The next word of cell i, and its state moved on (Blackman and Vigna, 2018)."""
        result = word(rotated(word(s[0, i] + s[3, i]), 7) + s[0, i])
        shifted = word(s[1, i] << word(9))
        s[2, i] ^= s[0, i]
        s[3, i] ^= s[1, i]
        s[1, i] ^= s[2, i]
        s[0, i] ^= s[3, i]
        s[2, i] ^= shifted
        s[3, i] = rotated(s[3, i], 11)
        return result

    @numba.njit(parallel=True, fastmath=True, error_model="numpy")
    def steps_of_all(state, words, curvature, scale, step_size, decay, correction):  # type: ignore[no-untyped-def]
        for part in numba.prange(state.shape[1] // tile):
            begin, column = part * tile, part * tile % curvature.size
            w, m, v = state[0, begin : begin + tile], state[1, begin : begin + tile], state[2, begin : begin + tile]
            s = words[:, begin : begin + tile]
            h, c = curvature[column : column + tile], scale[column : column + tile]
            normal = np.empty((2, tile), single)
            for k in range(step_size.size):
                if k % 2 == 0:
                    for i in range(tile):
                        radius = np.sqrt(minus_two * np.log((single(drawn(s, i)) + half) * unit))
                        angle = single(drawn(s, i)) * turn
                        normal[0, i] = radius * np.cos(angle)
                        normal[1, i] = radius * np.sin(angle)
                for i in range(tile):
                    gradient = h[i] * w[i] + c[i] * normal[k % 2, i]
                    m[i] = beta1 * m[i] + rest1 * gradient
                    v[i] = beta2 * v[i] + rest2 * (gradient * gradient)
                    move = step_size[k] * m[i] / (np.sqrt(v[i] * correction[k]) + eps)
                    w[i] = (w[i] - decay[k] * w[i]) - move

    curvature = CURVATURE.astype(single)
    state = np.zeros((3, replicas * COORDINATES), dtype=single)
    state[0] = 1
    words = np.random.default_rng(0).integers(0, 2**32, (4, state.shape[1]), dtype=word)
    over, scale = coefficients(), np.sqrt(curvature)

    def run() -> Floats:
        steps_of_all(state, words, curvature, scale, *over)
        return state[0].reshape(replicas, COORDINATES)

    return run
