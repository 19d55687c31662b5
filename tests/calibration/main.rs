//! Every error rate that the documentation states, by simulation. `calibrate.rs` tells how a claim is decided.

mod burn;
mod calibrate;
mod cohort;
mod cohort_strata;
mod counts;
mod distribution;
mod events;
mod families;
mod harness;
mod interval;
mod late;
mod moments;
mod monitor;
mod paired;
mod previous;
mod rank;
mod rollout;
mod sequential_counts;
mod sequential_delays;
mod sequential_families;
mod sequential_limits;
mod sequential_means;
mod sequential_ranks;
mod sequential_sprt;
mod series;
mod unequal;
