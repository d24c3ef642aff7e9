//! A plot as inline SVG, made by hand: lines over an axis, bands and marks behind them. Colors are classes, so that the
//! page decides what they are by day and by night.

use std::fmt::Write as _;

use crate::text::escape;
use crate::text::numbers::{float, ratio, whole};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 290.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 42.0;

/// The room above: for itself, and for each line of labels.
const TOP: f64 = 12.0;
const LABEL: f64 = 13.0;

/// Lines of labels at most: a mark whose label has no room there has its title alone.
const LABEL_LINES_MAX: usize = 5;

/// How wide a letter of a label is, about.
const LETTER: f64 = 6.2;

/// How the vertical axis runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scale {
    /// From zero.
    Linear,
    /// By powers of ten; what is not above zero is left out.
    Logarithmic,
}

/// A line.
pub(super) struct Series {
    pub name: &'static str,
    /// The place of its color.
    pub color: usize,
    /// None is a gap.
    pub points: Vec<(f64, Option<f64>)>,
}

/// A stretch of the horizontal axis.
pub(super) struct Band {
    pub from: f64,
    pub to: f64,
    pub label: String,
}

/// A moment of the horizontal axis.
pub(super) struct Mark {
    pub at: f64,
    pub label: String,
}

/// A plot.
pub(super) struct Plot {
    pub title: String,
    pub scale: Scale,
    pub series: Vec<Series>,
    pub bands: Vec<Band>,
    pub marks: Vec<Mark>,
    /// The places of labels on the horizontal axis, with these.
    pub ticks: Vec<(f64, String)>,
    pub axis: &'static str,
    /// A value of the vertical axis for people.
    pub shown: fn(f64) -> String,
}

/// Where the label of a mark stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    line: u64,
    /// Left of its mark, as there is no room on the right.
    leftward: bool,
}

/// Where values lie.
struct Frame {
    top: f64,
    left: f64,
    right: f64,
    low: f64,
    high: f64,
    scale: Scale,
}

impl Frame {
    fn x(&self, at: f64) -> f64 {
        let part = ratio(at - self.left, self.right - self.left).clamp(0.0, 1.0);
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let part = match self.scale {
            Scale::Linear => ratio(value - self.low, self.high - self.low),
            Scale::Logarithmic => {
                ratio(value.log10() - self.low.log10(), self.high.log10() - self.low.log10())
            }
        };
        HEIGHT - BOTTOM - part.clamp(0.0, 1.0) * (HEIGHT - self.top - BOTTOM)
    }
}

impl Plot {
    /// The SVG element, with its title above.
    pub(super) fn svg(&self) -> String {
        let mut svg = String::new();
        let mut frame = self.frame();
        let places = self.places(&frame);
        let lines = places.iter().flatten().map(|place| place.line + 1).max().unwrap_or(0);
        frame.top += LABEL * float(lines);
        let top = frame.top;
        let _ = write!(
            svg,
            "<figure><figcaption>{}</figcaption>\n<div class=\"scroll\"><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            escape(&self.title),
            escape(&self.title)
        );
        for band in &self.bands {
            let (from, to) = (frame.x(band.from), frame.x(band.to));
            let _ = writeln!(
                svg,
                "<rect class=\"band\" x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
                (to - from).max(2.0),
                HEIGHT - top - BOTTOM,
                escape(&band.label)
            );
        }
        self.grid(&frame, &mut svg);
        for series in &self.series {
            self.line(series, &frame, &mut svg);
        }
        // In front of the lines, so that nothing runs through a label.
        self.marks(&places, &frame, &mut svg);
        svg.push_str("</svg></div>\n");
        self.legend(&mut svg);
        svg.push_str("</figure>\n");
        svg
    }

    fn marks(&self, places: &[Option<Place>], frame: &Frame, svg: &mut String) {
        let height = |place: &Place| TOP + LABEL * float(place.line);
        for (mark, place) in self.marks.iter().zip(places) {
            let (x, label) = (frame.x(mark.at), escape(&mark.label));
            let from = place.as_ref().map_or(frame.top, |place| height(place) - 9.0);
            let _ = writeln!(
                svg,
                "<line class=\"mark\" x1=\"{x:.1}\" y1=\"{from:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"><title>{label}</title></line>",
                HEIGHT - BOTTOM
            );
        }
        for (mark, place) in self.marks.iter().zip(places) {
            let Some(place) = place else { continue };
            let (aside, anchor) = if place.leftward { (-3.0, "end") } else { (3.0, "start") };
            let (x, y) = (frame.x(mark.at) + aside, height(place));
            let label = escape(&mark.label);
            let _ = writeln!(
                svg,
                "<text class=\"mark-label\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{label}</text>"
            );
        }
    }

    /// What the colors mean, where it is not plain.
    fn legend(&self, text: &mut String) {
        let lines = self.series.iter().filter(|_| self.series.len() > 1);
        let mut keys: Vec<(String, &str)> =
            lines.map(|series| (format!("c{}", series.color), series.name)).collect();
        if !self.bands.is_empty() {
            keys.push(("during".to_string(), "a fault lasts"));
        }
        if keys.is_empty() {
            return;
        }
        text.push_str("<p class=\"legend\">");
        for (class, name) in keys {
            let _ = write!(text, "<span><span class=\"key {class}\"></span>{}</span> ", escape(name));
        }
        text.push_str("</p>\n");
    }

    /// For each mark where its label stands clear of the others, if there is such a place.
    fn places(&self, frame: &Frame) -> Vec<Option<Place>> {
        let mut ends = [f64::MIN; LABEL_LINES_MAX];
        let place = |mark: &Mark| {
            let at = frame.x(mark.at);
            let width = LETTER * float(mark.label.chars().count() as u64) + 8.0;
            let leftward = at + width > WIDTH + LETTER;
            let (begin, end) = if leftward { (at - width, at) } else { (at, at + width) };
            let line = ends.iter().position(|taken| *taken <= begin).filter(|_| begin >= 0.0)?;
            ends[line] = end;
            Some(Place { line: line as u64, leftward })
        };
        self.marks.iter().map(place).collect()
    }

    fn frame(&self) -> Frame {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let ends = points().map(|(at, _)| *at).chain(self.ticks.iter().map(|(at, _)| *at));
        let (left, right) = ends.fold((f64::MAX, f64::MIN), |(low, high), at| (low.min(at), high.max(at)));
        let (left, right) = if left < right { (left, right) } else { (0.0, left.clamp(1.0, 1e12)) };
        let values = points().filter_map(|(_, value)| *value).filter(|value| *value > 0.0);
        let (low, high) =
            values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low <= high { (low, high) } else { (1.0, 10.0) };
        let (low, high) = match self.scale {
            Scale::Linear => (0.0, nice(high)),
            Scale::Logarithmic => {
                let (low, high) = (10f64.powf(low.log10().floor()), 10f64.powf(high.log10().ceil()));
                (low, if high > low { high } else { low * 10.0 })
            }
        };
        Frame { top: TOP, left, right, low, high, scale: self.scale }
    }

    fn grid(&self, frame: &Frame, svg: &mut String) {
        let values: Vec<f64> = match self.scale {
            Scale::Linear => (0..=4).map(|quarter| frame.high * float(quarter) / 4.0).collect(),
            Scale::Logarithmic => {
                let mut values = vec![frame.low];
                while values.last().is_some_and(|value| value * 9.0 < frame.high) {
                    values.extend(values.last().map(|value| value * 10.0));
                }
                values
            }
        };
        for value in values {
            let y = frame.y(value);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.0,
                escape(&(self.shown)(value))
            );
        }
        let base = HEIGHT - BOTTOM;
        for (at, label) in &self.ticks {
            let x = frame.x(*at);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{base}\" x2=\"{x:.1}\" y2=\"{:.1}\"/><text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                base + 4.0,
                base + 18.0,
                escape(label)
            );
        }
        let _ = writeln!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            HEIGHT - 6.0,
            escape(self.axis)
        );
    }

    fn line(&self, series: &Series, frame: &Frame, svg: &mut String) {
        let shown = |value: &f64| *value > 0.0 || self.scale == Scale::Linear;
        let (mut path, mut down, mut dots) = (String::new(), false, String::new());
        for (at, value) in &series.points {
            let Some(value) = value.filter(shown) else {
                down = false;
                continue;
            };
            let (x, y) = (frame.x(*at), frame.y(value));
            let _ = write!(path, "{}{x:.1} {y:.1}", if down { "L" } else { "M" });
            let _ = write!(
                dots,
                "<circle class=\"dot c{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"><title>{} at {at}: {}</title></circle>",
                series.color,
                escape(series.name),
                escape(&(self.shown)(value))
            );
            down = true;
        }
        let _ = writeln!(svg, "<path class=\"line c{}\" d=\"{path}\"/>{dots}", series.color);
    }
}

/// Labels of a horizontal axis of time, in seconds, at whole steps.
pub(super) fn seconds(until: f64) -> Vec<(f64, String)> {
    let steps = [1_u64, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 36_000];
    let step = steps.into_iter().find(|step| until / float(*step) <= 12.0).unwrap_or(360_000);
    let last = whole((until + 0.5) / float(step));
    (0..=last).map(|nth| nth * step).map(|at| (float(at), format!("{at} s"))).collect()
}

/// The next number above that has one digit and zeros.
fn nice(value: f64) -> f64 {
    let unit = 10f64.powf(value.log10().floor());
    [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0]
        .into_iter()
        .map(|step| step * unit)
        .find(|high| *high >= value)
        .unwrap_or(10.0 * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(scale: Scale, points: Vec<(f64, Option<f64>)>) -> String {
        let series = vec![Series { name: "p50", color: 0, points }];
        let shown = |value: f64| format!("{value}");
        let title = "a <b>".to_string();
        let (bands, marks, ticks) = (Vec::new(), Vec::new(), seconds(3.0));
        Plot { title, scale, series, bands, marks, ticks, axis: "time", shown }.svg()
    }

    #[test]
    fn no_points_and_strange_points_make_a_whole_plot() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            for points in [vec![], vec![(0.0, None)], vec![(0.0, Some(0.0))], vec![(1.0, Some(5.0))]] {
                let svg = plot(scale, points);
                assert!(svg.contains("a &lt;b&gt;") && svg.ends_with("</figure>\n"), "{svg}");
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }

    #[test]
    fn labels_of_marks_never_lie_upon_one_another() {
        let marks = (0..20).map(|nth| Mark { at: 1.0 + float(nth) / 100.0, label: "n1 leads".to_string() });
        let ticks = seconds(10.0);
        let (title, scale, shown) = (String::new(), Scale::Linear, |value: f64| format!("{value}"));
        let (series, bands, marks) = (Vec::new(), Vec::new(), marks.collect());
        let plot = Plot { title, scale, series, bands, marks, ticks, axis: "time", shown };
        let places = plot.places(&plot.frame());
        let lines: Vec<Option<u64>> = places.iter().map(|place| place.map(|place| place.line)).collect();
        assert_eq!(lines[..6], [Some(0), Some(1), Some(2), Some(3), Some(4), None]);
    }

    #[test]
    fn a_label_at_the_right_end_stands_left_of_its_mark() {
        let marks = [9.0, 9.9].map(|at| Mark { at, label: "restart all".to_string() });
        let (title, scale, shown) = (String::new(), Scale::Linear, |value: f64| format!("{value}"));
        let (series, bands, marks, ticks) = (Vec::new(), Vec::new(), Vec::from(marks), seconds(10.0));
        let plot = Plot { title, scale, series, bands, marks, ticks, axis: "time", shown };
        let places = plot.places(&plot.frame());
        let place = |line, leftward| Some(Place { line, leftward });
        assert_eq!(places, [place(0, false), place(1, true)]);
        assert!(plot.svg().contains("text-anchor=\"end\">restart all<"));
    }

    #[test]
    fn a_gap_lifts_the_pen() {
        let svg =
            plot(Scale::Linear, vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(1.0)), (3.0, Some(2.0))]);
        let path = svg.lines().find(|line| line.contains("<path")).expect("a line");
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
    }
}
