//! Seconds of one call: one call is discarded, the next one is timed; where that takes less than 1 ms, a loop is.

use std::hint::black_box;
use std::time::Instant;

/// Below this one call is too short for the clock and the scheduler.
const SHORT: f64 = 1e-3;
/// How long the loop of short calls lasts.
const LOOP: f64 = 20e-3;
/// Inputs that are made ahead of a batch of calls: few enough to stay in the cache, as a caller's fresh values would.
const BATCH_BYTES: usize = 1 << 18;

/// Seconds per call, and what the discarded call answered.
///
/// `prepare` makes the input from the set of that number, untimed. What a call returns is dropped untimed. The sets
/// take turns, lest the processor learn the branches of one.
pub fn measure<I, O>(
    sets: usize,
    input_bytes: usize,
    prepare: impl Fn(usize) -> I,
    call: impl Fn(I) -> O,
) -> (f64, O) {
    let answer = call(black_box(prepare(0)));
    let once = batch(1, 1 % sets, sets, &prepare, &call);
    if once >= SHORT {
        return (once, answer);
    }
    let size = (BATCH_BYTES / input_bytes.max(1)).clamp(1, 4096);
    let (mut seconds, mut calls) = (0.0, 0);
    while seconds < LOOP {
        seconds += batch(size, calls, sets, &prepare, &call);
        calls += size;
    }
    (seconds / calls as f64, answer)
}

fn batch<I, O>(
    size: usize,
    from: usize,
    sets: usize,
    prepare: &impl Fn(usize) -> I,
    call: &impl Fn(I) -> O,
) -> f64 {
    let inputs: Vec<I> = (from..from + size).map(|i| prepare(i % sets)).collect();
    let mut outputs: Vec<O> = Vec::with_capacity(size);
    let start = Instant::now();
    for input in inputs {
        outputs.push(call(black_box(input)));
    }
    let seconds = start.elapsed().as_secs_f64();
    black_box(&outputs);
    seconds
}
