//! The cumulative curves as the paper draws them: two graphs, time without a leader on a log scale.

use std::time::Duration;

use super::Curve;
use crate::experiment::plot::{Plot, Scale, Series, document};

/// Colors that differ in lightness too, and dashes, so that a curve is known without its color.
const STYLE: &str = "\
.line { fill: none; stroke-width: 1.6; }
.grid { stroke: #dddddd; }
.c0 { stroke: #1b1b1b; }
.c1 { stroke: #b2182b; stroke-dasharray: 7 3; }
.c2 { stroke: #2166ac; }
.c3 { stroke: #d6841c; stroke-dasharray: 2 3; }
.c4 { stroke: #1a7f4b; stroke-dasharray: 9 3 2 3; }
.c5 { stroke: #7b3294; }
";

/// Both graphs. A curve is drawn in the top graph if its shortest timeout is 150 ms, in the bottom one if its longest is
/// twice the shortest.
pub fn plot(curves: &[Curve]) -> String {
    let top = curves.iter().filter(|curve| curve.range.min == 150).collect();
    let bottom = curves.iter().filter(|curve| curve.range.max == 2 * curve.range.min).collect();
    document(
        "Figure 16: the time to detect and replace a crashed leader",
        STYLE,
        &[
            graph("More or less randomness in the election timeout", top, (100.0, 20_000.0)),
            graph("Shorter or longer election timeouts", bottom, (5.0, 1_000.0)),
        ],
    )
}

/// One graph. Its times go from the first to the second, in milliseconds.
fn graph(title: &str, curves: Vec<&Curve>, (low, high): (f64, f64)) -> Plot {
    let ticks = [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000].map(f64::from);
    let ticks = ticks.into_iter().filter(|tick| (low..=high).contains(tick));
    let series = curves.into_iter().enumerate().map(|(color, curve)| {
        let points = points(curve, (low, high));
        Series { name: curve.range.to_string(), color: color % 6, points }
    });
    Plot {
        title: title.to_string(),
        series: series.collect(),
        bands: Vec::new(),
        marks: Vec::new(),
        vertical: Scale::Linear,
        horizontal: Scale::Logarithmic,
        ticks: ticks.map(|tick| (tick, tick.to_string())).collect(),
        axis: "time without a leader (ms)",
        shown: |percent| format!("{percent}%"),
    }
}

/// The percent of trials by the time within which they had a leader.
fn points(curve: &Curve, (low, high): (f64, f64)) -> Vec<(f64, Option<f64>)> {
    let times = (0..=1000_u16).step_by(5).map(|part| (part, curve.within(part.into())));
    let mut points: Vec<(f64, Option<f64>)> = times
        .map_while(|(part, time)| Some((millis(time?).clamp(low, high), Some(f64::from(part) / 10.0))))
        .collect();
    let reached = points.last().map_or(0.0, |(_, percent)| percent.unwrap_or(0.0));
    if reached < 100.0 {
        // Trials without a leader lie beyond the right end.
        points.push((high, Some(reached)));
    }
    points
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::RANGES;
    use super::*;

    #[test]
    fn it_is_well_formed_and_has_every_curve() {
        let times: Vec<_> = (1..=40).map(|each| Some(Duration::from_millis(each * 20))).collect();
        let mut curves: Vec<Curve> = RANGES.iter().map(|range| Curve::new(*range, &times)).collect();
        curves[0] = Curve::new(RANGES[0], &[None, None]);
        let svg = plot(&curves);
        assert_eq!(
            svg.matches("class=\"line c").count(),
            2 * 11,
            "150-300 ms is in both graphs, and each has a legend"
        );
        let mut open = Vec::new();
        for tag in svg.split('<').skip(1) {
            let (tag, text) = tag.split_once('>').expect("each tag ends");
            assert!(!text.contains('&') && tag.matches('"').count().is_multiple_of(2), "{tag}");
            let name = tag.split([' ', '/']).next().unwrap_or_default();
            if let Some(closed) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(closed), "tags close in order");
            } else if !tag.ends_with('/') {
                open.push(name);
            }
        }
        assert_eq!(open, Vec::<&str>::new());
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
