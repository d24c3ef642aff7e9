//! The cumulative curves as the paper draws them: two graphs, time without a leader on a log scale. An SVG document, light
//! and dark as the reader likes it.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Curve, Measure};
use crate::page::{Axis, Scale};
use crate::text::escape;
use crate::text::numbers::float;

const TITLE: &str = "Figure 16: the time to detect and replace a crashed leader";

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 370.0;
const TOP: f64 = 66.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 50.0;

/// Room for the title.
const HEAD: f64 = 40.0;

/// Colors that differ in lightness too, and dashes, so that a curve is known without its color.
const STYLE: &str = "\
svg { --ink: #1c2330; --soft: #5c6675; --paper: #fdfdfc; --edge: #dfe3e8;
  --c0: #1c2330; --c1: #b2182b; --c2: #2166ac; --c3: #b8660f; --c4: #1a7f4b; --c5: #7b3294; }
@media (prefers-color-scheme: dark) {
  svg { --ink: #e4e8ee; --soft: #98a2b1; --paper: #14181f; --edge: #2b323d;
    --c0: #e4e8ee; --c1: #f0827a; --c2: #64b0ee; --c3: #f0a45a; --c4: #74c794; --c5: #c9a3f0; }
}
.paper { fill: var(--paper) }
text { fill: var(--ink) }
.soft { fill: var(--soft) }
.line { fill: none; stroke-width: 1.8 }
.grid { stroke: var(--edge) }
.c0 { stroke: var(--c0) }
.c1 { stroke: var(--c1); stroke-dasharray: 7 3 }
.c2 { stroke: var(--c2); stroke-dasharray: 12 3 }
.c3 { stroke: var(--c3); stroke-dasharray: 2 3 }
.c4 { stroke: var(--c4); stroke-dasharray: 9 3 2 3 }
.c5 { stroke: var(--c5); stroke-dasharray: 4 2 }
.number { font-size: 11px; stroke: var(--paper); stroke-width: 4px; paint-order: stroke }
.of-paper { fill: var(--paper); stroke-width: 2; stroke-dasharray: none }
";

/// The graphs' horizontal axis, in milliseconds.
struct Graph<'a> {
    title: &'a str,
    curves: Vec<&'a Curve>,
    times: Axis,
}

/// Both graphs. A curve is drawn in the top graph if its shortest timeout is 150 ms, in the bottom one if its longest is
/// twice the shortest.
pub fn plot(curves: &[Curve]) -> String {
    let axis = |low, high| Axis { scale: Scale::Logarithmic, low, high };
    let graphs = [
        Graph {
            title: "More or less randomness in the election timeout",
            curves: curves.iter().filter(|curve| curve.range.min == 150).collect(),
            times: axis(100.0, 20_000.0),
        },
        Graph {
            title: "Shorter or longer election timeouts",
            curves: curves.iter().filter(|curve| curve.range.max == 2 * curve.range.min).collect(),
            times: axis(5.0, 1_000.0),
        },
    ];
    let height = HEAD + 2.0 * HEIGHT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" style=\"max-width:{WIDTH}px\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<title>{TITLE}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n\
         <text x=\"{LEFT}\" y=\"30\" font-size=\"17\" font-weight=\"bold\">{TITLE}</text>\n"
    );
    for (nth, graph) in (0..).zip(&graphs) {
        let _ =
            writeln!(svg, "<svg y=\"{}\" width=\"{WIDTH}\" height=\"{HEIGHT}\">", HEAD + HEIGHT * float(nth));
        graph.draw(&mut svg);
        svg.push_str("</svg>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

impl Graph<'_> {
    fn x(&self, millis: f64) -> f64 {
        LEFT + self.times.part(millis) * (WIDTH - LEFT - RIGHT)
    }

    fn draw(&self, svg: &mut String) {
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{}</text>",
            TOP - 38.0,
            escape(self.title)
        );
        self.grid(svg);
        for (nth, curve) in self.curves.iter().enumerate() {
            let _ = writeln!(svg, "<path class=\"line c{}\" d=\"{}\"/>", nth % 6, self.path(curve));
        }
        for (nth, curve) in self.curves.iter().enumerate() {
            self.paper(curve, nth % 6, svg);
        }
        self.legend(svg);
    }

    fn grid(&self, svg: &mut String) {
        let base = HEIGHT - BOTTOM;
        for percent in [0, 25, 50, 75, 100] {
            let at = y(f64::from(percent));
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{}\"/><text class=\"soft\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{percent}%</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.0
            );
        }
        let ticks = [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000].map(f64::from);
        for tick in ticks.into_iter().filter(|tick| (self.times.low..=self.times.high).contains(tick)) {
            let x = self.x(tick);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{x:.1} {TOP}V{}\"/><text class=\"soft\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
                base + 4.0,
                base + 18.0
            );
        }
        let _ = writeln!(
            svg,
            "<text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">time without a leader (ms)</text>",
            f64::midpoint(LEFT, WIDTH - RIGHT),
            base + 36.0
        );
        let (middle, left) = (y(50.0), 16.0);
        let _ = writeln!(
            svg,
            "<text class=\"soft\" transform=\"translate({left} {middle:.1}) rotate(-90)\" text-anchor=\"middle\">trials with a leader again</text>"
        );
    }

    fn path(&self, curve: &Curve) -> String {
        let mut path = String::new();
        for (nth, (millis, percent)) in points(curve, self.times).into_iter().enumerate() {
            let step = if nth == 0 { "M" } else { "L" };
            let _ = write!(path, "{step}{:.1} {:.1}", self.x(millis), y(percent));
        }
        path
    }

    /// What the paper says of the curve's range: a diamond on the height that the number is about.
    fn paper(&self, curve: &Curve, color: usize, svg: &mut String) {
        for (measure, millis) in curve.range.paper {
            let percent = match measure {
                Measure::Median => 50.0,
                Measure::Max => 100.0,
                // Neither is a height of the curve: they stand on the axis.
                Measure::Mean | Measure::AllAbove => 0.0,
            };
            let (x, y) = (self.x(f64::from(*millis)), y(percent));
            let _ = writeln!(
                svg,
                "<path class=\"of-paper c{color}\" d=\"M{x:.1} {:.1}l6 6l-6 6l-6 -6z\"><title>{}: the paper's {measure} {millis} ms</title></path>\
                 <text class=\"number\" x=\"{:.1}\" y=\"{:.1}\">{measure} {millis}</text>",
                y - 6.0,
                curve.range,
                x + 11.0,
                y + 4.0
            );
        }
    }

    /// The curves' names, in a row above the graph.
    fn legend(&self, svg: &mut String) {
        const KEY: f64 = 118.0;
        let y = TOP - 16.0;
        for (nth, curve) in self.curves.iter().enumerate() {
            let x = LEFT + KEY * float(nth as u64);
            let _ = writeln!(
                svg,
                "<path class=\"line c{}\" d=\"M{x} {y}h24\"/><text x=\"{}\" y=\"{}\">{}</text>",
                nth % 6,
                x + 30.0,
                y + 4.0,
                curve.range
            );
        }
        let x = LEFT + KEY * float(self.curves.len() as u64);
        let _ = writeln!(
            svg,
            "<path class=\"of-paper c0\" d=\"M{} {}l6 6l-6 6l-6 -6z\"/><text x=\"{}\" y=\"{}\">the paper's number (9.3)</text>",
            x + 8.0,
            y - 6.0,
            x + 20.0,
            y + 4.0
        );
    }
}

fn y(percent: f64) -> f64 {
    HEIGHT - BOTTOM - percent / 100.0 * (HEIGHT - TOP - BOTTOM)
}

/// The percent of trials by the time within which they had a leader.
fn points(curve: &Curve, Axis { low, high, .. }: Axis) -> Vec<(f64, f64)> {
    let times = (0..=1000_u16).step_by(5).map(|part| (part, curve.within(part.into())));
    let mut points: Vec<(f64, f64)> = times
        .map_while(|(part, time)| Some((millis(time?).clamp(low, high), f64::from(part) / 10.0)))
        .collect();
    let reached = points.last().map_or(0.0, |(_, percent)| *percent);
    if reached < 100.0 {
        // Trials without a leader lie beyond the right end.
        points.push((high, reached));
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
        assert!(svg.contains("150-155 ms: the paper's median 287 ms</title>"), "{svg}");
        assert_eq!(svg.matches("prefers-color-scheme: dark").count(), 1);
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
