//! Error budgets: a recorded canary replayed, bucket by bucket, through the rule "more than three times the baseline's burn rate".
//!
//! ```text
//! burn_rate [SCENARIO]        a folder of datasets; default err_1pct, in which the canary fails 1 % of its requests
//! ```
//!
//! Each line is four seconds. The bars are burn rates over the long window, `#` the canary's and `-` the baseline's, one
//! character for each unit up to 30; `|` is what the canary must be above: three times the baseline's, and at least 3.

use std::{env, error::Error, fs, path::Path};

use serinus::{
    Arm, Timestamp,
    slo::{Burning, Canary, CanaryDesign, Excess, Fraction, Objective, WindowSum},
    telemetry::{Counts, SeriesSet, import::prometheus},
    verdict::{Observed, Policy},
};

const POLICY: &str = r#"
apiVersion: serinus/v1
arms: {by: arm, baseline: baseline, canary: canary}
metrics:
  - name: errors
    kind: counts
    bad: 'client_requests_total{class=~"5xx|neterr"}'
    total: client_requests_total
    margin: {relative: 0.25, absolute: 0.001}
slo:
  - name: availability
    target: 99.9%
    bad: 'client_requests_total{class=~"5xx|neterr"}'
    total: client_requests_total
    length: 2m
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let scenario = env::args().nth(1).unwrap_or_else(|| "err_1pct".into());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets").join(&scenario);
    let export: SeriesSet = prometheus::read(&fs::read(folder.join("client_requests_total.json"))?)?;
    let policy = Policy::from_yaml(POLICY)?.check()?;
    let telemetry = policy.select(&export);

    // What the judge replays, shown.
    let found = telemetry.slo("availability").ok_or("no such objective")?;
    let Ok(Observed::Counts(intervals)) = &found.observed else {
        return Err(format!("{:?}", found.observed).into());
    };
    let seconds = std::time::Duration::from_secs;
    let objective = Objective::new("99.9%".parse()?, seconds(30 * 86_400))?;
    let mut canary = Canary::new(CanaryDesign::rollout(objective, seconds(120), seconds(1))?)?;
    let rule = canary.relative().rule().clone();
    println!(
        "{scenario}: more than {} times the baseline, over {:?} and {:?}, for {:?}\n",
        rule.ratio, rule.long, rule.short, rule.hold
    );
    println!(
        "{:>5}  {:<31} {:>14} {:>14}  relative  p         answer",
        "s", "burn over 20 s", "canary", "baseline"
    );

    let start = intervals.ends().first().copied().ok_or("nothing was seen")?;
    let mut last = None;
    for (i, (end, seen)) in intervals.ends().iter().zip(intervals.arms()).enumerate() {
        let _ = canary.push(*end, *seen)?;
        let burning = canary.evaluate();
        if i % 4 != 3 && last == Some(burning) {
            continue;
        }
        last = Some(burning);
        let [long, short] = canary.relative().windows(canary.windows().as_ref());
        let burn = |sum: WindowSum| objective.burn(sum.counts).map_or(0.0, Fraction::value);
        let both = |arm: Arm| format!("{:.1} / {:.1}", burn(long[arm]), burn(short[arm]));
        println!(
            "{:>5}  {} {:>14} {:>14}  {:<8}  {:<8}  {}",
            seconds_since(start, *end),
            bar(burn(long.canary), burn(long.baseline)),
            both(Arm::Canary),
            both(Arm::Baseline),
            match canary.relative().excess() {
                Excess::Page => "page",
                Excess::Ticket => "ticket",
                Excess::None => "-",
                Excess::Unknown => "unknown",
            },
            canary.relative().p_value(&long).to_string(),
            match burning {
                Burning::Canary => "the canary burns",
                Burning::Service => "burns, not shown by the canary",
                Burning::Ticket => "ticket",
                Burning::Unknown => "too little is known",
                Burning::Nobody => "nobody burns",
            }
        );
    }
    let total = |arm: Arm| -> Result<Counts, serinus::Error> {
        let sum = |part: fn(&Counts) -> u64| intervals.arms().iter().map(|arms| part(&arms[arm])).sum();
        Counts::new(sum(Counts::bad), sum(Counts::total))
    };
    println!(
        "\nin all {:?} of the baseline, {:?} of the canary\n",
        total(Arm::Baseline)?,
        total(Arm::Canary)?
    );
    println!("{}", policy.judge(&telemetry));
    Ok(())
}

fn seconds_since(start: Timestamp, at: Timestamp) -> String {
    at.since(start).map_or(String::new(), |span| format!("{:.0}", span.as_secs_f64()))
}

/// Both burn rates, and what the canary's must be above.
fn bar(canary: f64, baseline: f64) -> String {
    let place = |burn: f64| burn.round().min(30.0) as usize;
    let limit = place(3.0 * baseline.max(1.0));
    let symbol = |k: usize| {
        if k == limit {
            '|'
        } else if k <= place(baseline) && k > 0 {
            '-'
        } else if k <= place(canary) && k > 0 {
            '#'
        } else {
            ' '
        }
    };
    (0..=30).map(symbol).collect()
}
