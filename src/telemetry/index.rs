//! The series of an export by the values of some labels.

use std::collections::BTreeMap;

use crate::telemetry::{Labels, Point, Selector, SeriesSet, selector::NAME};

type Found<'a> = (&'a Labels, &'a [Point]);

/// For many selectors of one export: each looks only at the series that have a name or a value which it asks for, and not at
/// all series. A label that a series does not have is empty.
pub(crate) struct Index<'a> {
    all: Vec<Found<'a>>,
    by_value: BTreeMap<&'a str, BTreeMap<&'a str, Vec<Found<'a>>>>,
}

impl<'a> Index<'a> {
    /// By the name, and by these labels.
    pub(crate) fn new(set: &'a SeriesSet, labels: impl IntoIterator<Item = &'a str>) -> Index<'a> {
        let all: Vec<Found> = set.iter().collect();
        let mut by_value = BTreeMap::new();
        for label in labels.into_iter().chain([NAME]) {
            let values: &mut BTreeMap<&str, Vec<Found>> = by_value.entry(label).or_default();
            if values.is_empty() {
                for series in &all {
                    let value = series.0.get(label).map_or("", String::as_str);
                    values.entry(value).or_default().push(*series);
                }
            }
        }
        Index { all, by_value }
    }

    /// What [`SeriesSet::select`] finds.
    pub(crate) fn select(&self, selector: &Selector) -> impl Iterator<Item = Found<'a>> {
        let some = self.fewest(selector.equalities());
        some.iter().copied().filter(|(labels, _)| selector.matches(labels))
    }

    /// Whether a series has the selector's name and labels, whatever their values.
    pub(crate) fn names(&self, selector: &Selector) -> bool {
        let some = self.fewest(selector.equalities().filter(|(label, _)| *label == NAME));
        some.iter().any(|(labels, _)| selector.names(labels))
    }

    /// The fewest series that are known to be all that have one of these values.
    fn fewest<'s>(&self, equalities: impl Iterator<Item = (&'s str, &'s str)>) -> &[Found<'a>] {
        let having = |(label, value)| {
            self.by_value.get(label).map(|values| values.get(value).map_or(&[][..], Vec::as_slice))
        };
        equalities.filter_map(having).min_by_key(|series| series.len()).unwrap_or(&self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_the_set_has() {
        let mut set = SeriesSet::default();
        for k in 0..60 {
            let name = ("__name__".to_string(), ["a", "b", "c"][k % 3].to_string());
            let route = ("route".to_string(), ["/x", "", "/y", "/z"][k / 3 % 4].to_string());
            let pod = ("pod".to_string(), k.to_string());
            let labels = [name, route, pod].into_iter().filter(|(label, _)| label != "route" || k % 7 > 0);
            set.extend(labels.collect(), []);
        }
        for index in [Index::new(&set, []), Index::new(&set, ["route", "pod", "route", "none"])] {
            for (text, many) in [
                ("a", 20),
                ("{route=\"\"}", 23),
                ("a{route=\"/x\"}", 4),
                ("a{route=\"/w\"}", 0),
                ("b{route!=\"/x\",route=\"/y\"}", 4),
                ("b{route=\"/x\",route=\"/y\"}", 0),
                ("{__name__=~\"a|b\",pod=\"4\"}", 1),
                ("{none=\"\",pod=~\"1.\"}", 10),
                ("d", 0),
            ] {
                let selector: Selector = text.parse().unwrap();
                let found: Vec<Found> = index.select(&selector).collect();
                assert_eq!(found, set.select(&selector).collect::<Vec<Found>>(), "{text}");
                assert_eq!(found.len(), many, "{text}");
                assert_eq!(index.names(&selector), set.iter().any(|(labels, _)| selector.names(labels)));
            }
        }
    }
}
