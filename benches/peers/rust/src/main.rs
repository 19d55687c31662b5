//! One program to be timed, in one process: `serinus-peers time PROGRAM KIND N M CANARY BASELINE` prints seconds per
//! call and the answer, one `name value` a line. `serinus-peers generate SHAPE N CANARY BASELINE` makes the files.

mod compare;
mod data;
mod sequential;
mod sorts;
mod tests;
mod timing;

use std::process::ExitCode;

/// What a program found, by name, to be compared with what the others found.
type Answer = Vec<(&'static str, f64)>;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["generate", shape, n, canary, baseline] => generate(shape, n, canary, baseline),
        ["time", program, kind, n, m, canary, baseline] => time(program, kind, [n, m], [canary, baseline]),
        _ => Err("usage: serinus-peers generate|time ...".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(shape: &str, n: &str, canary: &str, baseline: &str) -> Result<()> {
    let (c, b) = data::generate(shape, n.parse()?)?;
    data::write(canary, &c)?;
    data::write(baseline, &b)?;
    Ok(())
}

fn time(program: &str, kind: &str, sizes: [&str; 2], paths: [&str; 2]) -> Result<()> {
    let canary = data::read(paths[0], sizes[0].parse()?)?;
    let baseline = data::read(paths[1], sizes[1].parse()?)?;
    if canary.is_empty() || canary.len() != baseline.len() {
        return Err("the arms have no or different numbers of sets".into());
    }
    let sets: Vec<(Vec<f64>, Vec<f64>)> = canary.into_iter().zip(baseline).collect();
    let (seconds, answer) = match kind {
        "sort" => sorts::time(program, &sets)?,
        "sprt" | "split" | "events" | "events_interval" | "normal" | "normal_bound" | "beta_binomial" | "quantile_bound"
        | "means_at_any_time" => sequential::time(program, kind, &sets)?,
        _ => tests::time(program, kind, &sets)?,
    };
    println!("seconds {seconds:?}");
    for (name, value) in answer {
        println!("{name} {value:?}");
    }
    Ok(())
}
