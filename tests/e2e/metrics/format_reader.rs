//! A strict reader of both text formats: what it accepts, every scraper does.
//!
//! After the OpenMetrics specification 1.0 and Prometheus' text format 0.0.4, as far as the service uses them: no
//! timestamps, no exemplars, no escapes but in label values.

use std::collections::{BTreeMap, BTreeSet};

/// A family of metrics.
#[derive(Debug, Clone, Default)]
pub struct Family {
    pub name: String,
    pub kind: String,
    pub unit: String,
    pub samples: Vec<Sample>,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Sample {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

/// A whole exposition.
#[derive(Debug, Clone)]
pub struct Families(pub Vec<Family>);

impl Families {
    /// Reads OpenMetrics.
    pub fn openmetrics(text: &str) -> Result<Self, String> {
        let body = text.strip_suffix("# EOF\n").ok_or("the end is not `# EOF`")?;
        let families = read(body, true)?;
        families.0.iter().try_for_each(check)?;
        Ok(families)
    }

    /// Reads the older format, in which a sample of a counter has the name of its family.
    pub fn classic(text: &str) -> Result<Self, String> {
        let families = read(text, false)?;
        for family in &families.0 {
            let known = ["counter", "gauge", "histogram", "summary", "untyped"];
            if !known.contains(&family.kind.as_str()) {
                return Err(format!("{}: node_exporter knows no type `{}`", family.name, family.kind));
            }
            if family.kind != "histogram" && family.samples.iter().any(|s| s.name != family.name) {
                return Err(format!("{}: a sample of another name", family.name));
            }
        }
        Ok(families)
    }

    /// The value of a sample, written as in the text: `name{label="value"}`.
    pub fn value(&self, wanted: &str) -> Option<f64> {
        let all = self.0.iter().flat_map(|f| &f.samples);
        let found = all.filter(|s| s.shown() == wanted).map(|s| s.value).collect::<Vec<_>>();
        assert!(found.len() <= 1, "{wanted} stands there {} times", found.len());
        found.first().copied()
    }
}

impl Sample {
    /// As in the text, labels in order.
    pub fn shown(&self) -> String {
        let mut labels: Vec<String> = self.labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
        labels.sort();
        if labels.is_empty() { self.name.clone() } else { format!("{}{{{}}}", self.name, labels.join(",")) }
    }
}

fn read(text: &str, has_units: bool) -> Result<Families, String> {
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    let mut families: Vec<Family> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let wrong = |what: &str| format!("{what}: {line:?}");
        let Some(comment) = line.strip_prefix("# ") else {
            let sample = sample(line).ok_or_else(|| wrong("not a sample"))?;
            let family = families.last_mut().ok_or_else(|| wrong("a sample of no family"))?;
            if !sample.name.starts_with(&family.name) {
                return Err(wrong("a sample of another family"));
            }
            if !seen.insert(sample.shown()) {
                return Err(wrong("twice"));
            }
            family.samples.push(sample);
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        let (Some("HELP"), Some(name), Some(_)) = (words.next(), words.next(), words.next()) else {
            return Err(wrong("a family begins with HELP"));
        };
        if families.iter().any(|f| f.name == name) || !is_name(name) {
            return Err(wrong("no name, or one that was there before"));
        }
        let next = lines.next().unwrap_or_default();
        let kind = next.strip_prefix(&format!("# TYPE {name} ")).ok_or_else(|| wrong("TYPE must follow"))?;
        let mut family = Family { name: name.to_owned(), kind: kind.to_owned(), ..Family::default() };
        if let Some(unit) = lines.peek().and_then(|l| l.strip_prefix(&format!("# UNIT {name} "))) {
            if !has_units || !name.ends_with(&format!("_{unit}")) {
                return Err(wrong("a unit that the name does not end in"));
            }
            family.unit = unit.to_owned();
            lines.next();
        }
        families.push(family);
    }
    Ok(Families(families))
}

fn check(family: &Family) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{} ({}): {what}\n{:?}", family.name, family.kind, family.samples));
    let endings: &[&str] = match family.kind.as_str() {
        "counter" => &["_total"],
        "gauge" => &[""],
        "info" => &["_info"],
        "histogram" => &["_bucket", "_sum", "_count"],
        _ => return wrong("a type that is not used here"),
    };
    for sample in &family.samples {
        let ending = sample.name.strip_prefix(&family.name).unwrap_or("?");
        if !endings.contains(&ending) {
            return wrong("a sample with another ending");
        }
        let is_countable = family.kind == "counter" || family.kind == "histogram";
        if !sample.value.is_finite() || (is_countable && sample.value < 0.0) {
            return wrong("not a count");
        }
        if family.kind == "info" && sample.value != 1.0 {
            return wrong("an info is 1");
        }
    }
    if family.kind == "histogram" { histogram(family) } else { Ok(()) }
}

/// Buckets grow, the last is without end and holds all.
fn histogram(family: &Family) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{}: {what}\n{:?}", family.name, family.samples));
    let count = family.samples.iter().find(|s| s.name.ends_with("_count")).map(|s| s.value);
    let (mut last, mut last_value) = (f64::NEG_INFINITY, 0.0);
    for bucket in family.samples.iter().filter(|s| s.name.ends_with("_bucket")) {
        let edge = bucket.labels.iter().find(|(k, _)| k == "le").and_then(|(_, v)| v.parse::<f64>().ok());
        let Some(edge) = edge.filter(|edge| *edge > last) else { return wrong("edges must grow") };
        if bucket.value < last_value {
            return wrong("buckets must grow");
        }
        (last, last_value) = (edge, bucket.value);
    }
    if last != f64::INFINITY || Some(last_value) != count {
        return wrong("the last bucket holds all");
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `name{label="value",…} number`, and nothing after it.
fn sample(line: &str) -> Option<Sample> {
    let at = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(at);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            if !is_name(label) || labels.insert(label.to_owned(), value).is_some() {
                return None;
            }
            rest = match after.strip_prefix(',') {
                Some(more) if !more.starts_with('}') => more,
                Some(_) => return None,
                None => after,
            };
        }
        rest = rest.strip_prefix('}')?;
    }
    let number = rest.strip_prefix(' ')?;
    let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || ".e+-".contains(c));
    let value = number.parse().ok().filter(|_| is_number && is_name(name))?;
    Some(Sample { name: name.to_owned(), labels: labels.into_iter().collect(), value })
}

/// A label's value up to its quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
    None
}

#[test]
fn the_reader_is_strict() {
    let good = "# HELP a x.\n# TYPE a counter\na_total{b=\"c\"} 1\n# EOF\n";
    assert_eq!(Families::openmetrics(good).unwrap().value("a_total{b=\"c\"}"), Some(1.0));
    for (from, to) in [
        ("# EOF\n", ""),
        ("# EOF\n", "# EOF"),
        ("# HELP a x.\n", ""),
        ("# TYPE a counter\n", ""),
        ("counter", "counters"),
        ("counter", "gauge"),
        ("a_total", "a"),
        ("a_total", "b_total"),
        ("\"c\"", "\"c"),
        ("b=\"c\"", "b=\"c\","),
        ("b=\"c\"", "b=\"c\",b=\"d\""),
        ("b=\"c\"", "b=\"\\x\""),
        ("b=", "1b="),
        (" 1\n", " one\n"),
        (" 1\n", " 1 1700000000\n"),
        (" 1\n", " -1\n"),
        (" 1\n", " 1\n\n"),
        (" 1\n", " 1\na_total{b=\"c\"} 1\n"),
        (" 1\n", " 1\n# HELP a x.\n# TYPE a counter\n"),
        ("# TYPE a counter\n", "# TYPE a counter\n# UNIT a bytes\n"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(Families::openmetrics(&bad).is_err(), "{bad}");
    }
    let buckets = |counts: [u32; 3]| {
        format!(
            "# HELP h x.\n# TYPE h histogram\nh_sum 1.5\nh_count {}\nh_bucket{{le=\"0.1\"}} {}\nh_bucket{{le=\"+Inf\"}} {}\n# EOF\n",
            counts[0], counts[1], counts[2]
        )
    };
    assert!(Families::openmetrics(&buckets([3, 2, 3])).is_ok());
    for bad in [[3, 4, 3], [3, 1, 2]] {
        assert!(Families::openmetrics(&buckets(bad)).is_err(), "{bad:?}");
    }
    assert!(Families::classic("# HELP a_total x.\n# TYPE a_total counter\na_total 1\n").is_ok());
    assert!(Families::classic("# HELP a x.\n# TYPE a counter\na_total 1\n").is_err());
    assert!(Families::classic("# HELP a x.\n# TYPE a info\na 1\n").is_err());
}
