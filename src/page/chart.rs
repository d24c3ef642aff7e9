//! Charts: panels below one another over one horizontal axis, with bands and marks through all of them.
//!
//! Lines are SVG that is stretched to the width there is; labels are text beside it, so that they stay as large as text
//! is. Each place of the axis has a reading: the values of all lines there, as a title and for the page's script.

use std::fmt::Write as _;

use super::axis::{Axis, Scale, WIDTH};
use super::tracks::Tracks;
use crate::text::escape;
use crate::text::numbers::float;

/// How high a panel of lines is, in pixels.
const HEIGHT: f64 = 150.0;

/// With more points than these in a line, its points are not drawn one by one.
const DOTS_MAX: usize = 40;

/// How wide a plot is on a wide screen and on a narrow one, about; and a letter of a label.
const WIDE: f64 = 800.0;
const NARROW: f64 = 470.0;
const LETTER: f64 = 6.3;

/// The most lines of labels: a mark whose label has no room there only has its title.
const LABEL_LINES_MAX: usize = 5;

/// A line of a panel.
pub struct Series {
    pub name: String,
    /// How it looks: `s0` to `s4` differ in color and dashes.
    pub style: usize,
    /// None is a gap.
    pub points: Vec<(f64, Option<f64>)>,
}

/// A stretch of the axis.
pub struct Band {
    pub from: f64,
    pub to: f64,
    pub label: String,
    pub kind: BandKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BandKind {
    /// A fault is active.
    Fault,
    /// Nothing was answered: its label stands in the chart.
    Outage,
}

/// A moment of the axis.
#[derive(Clone, PartialEq, Debug)]
pub struct Mark {
    pub at: f64,
    pub label: String,
    pub kind: MarkKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarkKind {
    /// A directive: a fault, or its end.
    Directive,
    Leader,
}

/// Lines over the axis.
pub struct Panel {
    pub title: String,
    pub series: Vec<Series>,
    pub scale: Scale,
    /// A value of the vertical axis for people, with its unit.
    pub shown: fn(f64) -> String,
}

pub struct Chart {
    /// What it is about, for those who do not see it.
    pub title: String,
    pub axis: Axis,
    /// The places of labels on the horizontal axis, with these.
    pub ticks: Vec<(f64, String)>,
    /// What the horizontal axis tells, with its unit.
    pub label: String,
    /// A place of the horizontal axis for people.
    pub shown: Box<dyn Fn(f64) -> String>,
    pub bands: Vec<Band>,
    pub marks: Vec<Mark>,
    pub panels: Vec<Panel>,
    pub tracks: Vec<Tracks>,
}

/// Where the label of a mark stands, in a width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct LabelPlace {
    line: usize,
    /// Left of its mark, as there is no room on the right.
    leftward: bool,
}

impl BandKind {
    fn class(self) -> &'static str {
        match self {
            BandKind::Fault => "fault-band",
            BandKind::Outage => "outage-band",
        }
    }
}

impl Chart {
    pub fn html(&self) -> String {
        let mut html = String::new();
        let title = escape(&self.title);
        let _ = writeln!(
            html,
            "<figure class=\"chart\" role=\"group\" data-readable tabindex=\"0\" aria-label=\"{title}. The arrow keys read values.\">"
        );
        self.mark_labels(&mut html);
        html.push_str("<div class=\"curves\">\n");
        for (nth, panel) in self.panels.iter().enumerate() {
            self.panel(panel, nth == 0, &mut html);
        }
        self.readings(&mut html);
        html.push_str("</div>\n");
        for tracks in &self.tracks {
            let (behind, front) = self.behind(tracks.height());
            tracks.html(&self.axis, &behind, &front, &mut html);
        }
        self.horizontal(&mut html);
        self.legend(&mut html);
        html.push_str("<p class=\"reading\" role=\"status\" aria-live=\"polite\"></p>\n</figure>\n");
        html
    }

    fn x(&self, at: f64) -> f64 {
        self.axis.part(at) * WIDTH
    }

    /// The bands, and the marks, of a drawing that is so high.
    fn behind(&self, height: f64) -> (String, String) {
        let (mut bands, mut marks) = (String::new(), String::new());
        for band in &self.bands {
            let (from, to) = (self.x(band.from), self.x(band.to));
            let _ = writeln!(
                bands,
                "<rect class=\"{}\" x=\"{from:.1}\" y=\"0\" width=\"{:.1}\" height=\"{height}\"><title>{}</title></rect>",
                band.kind.class(),
                (to - from).max(2.0),
                escape(&band.label)
            );
        }
        for Mark { at, label, kind } in &self.marks {
            let x = self.x(*at);
            let class = match kind {
                MarkKind::Directive => "directive",
                MarkKind::Leader => "leader",
            };
            let _ = writeln!(
                marks,
                "<path class=\"mark {class}\" d=\"M{x:.1} 0V{height}\"><title>{}: {}</title></path>",
                escape(&(self.shown)(*at)),
                escape(label)
            );
        }
        (bands, marks)
    }

    fn panel(&self, panel: &Panel, is_first: bool, html: &mut String) {
        let values = panel.series.iter().flat_map(|series| &series.points).filter_map(|(_, value)| *value);
        let axis = Axis::of(panel.scale, values);
        let _ = writeln!(
            html,
            "<section class=\"panel\"><h3>{}</h3>\n<div class=\"plot\" style=\"height:{HEIGHT}px\">",
            escape(&panel.title)
        );
        let y = |value: f64| (1.0 - axis.part(value)) * HEIGHT;
        let mut grid = String::new();
        for tick in axis.ticks() {
            let at = y(tick);
            let _ = write!(grid, "<path class=\"grid\" d=\"M0 {at:.1}H{WIDTH}\"/>");
            let label = escape(&(panel.shown)(tick));
            let _ = write!(html, "<span class=\"y\" style=\"top:{at:.1}px\">{label}</span>");
        }
        if is_first {
            self.outage_labels(html);
        }
        let (bands, marks) = self.behind(HEIGHT);
        let _ = writeln!(
            html,
            "\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\n{bands}{grid}\n{marks}"
        );
        for series in &panel.series {
            let (line, dots) = self.paths(series, &axis, y);
            let style = series.style;
            let _ = writeln!(html, "<path class=\"line s{style}\" d=\"{line}\"/>");
            if series.points.len() <= DOTS_MAX {
                let _ = writeln!(html, "<path class=\"dots s{style}\" d=\"{dots}\"/>");
            }
        }
        html.push_str("</svg></div>\n");
        panel.legend(html);
        html.push_str("</section>\n");
    }

    /// The line through the points, and the points alone.
    fn paths(&self, series: &Series, axis: &Axis, y: impl Fn(f64) -> f64) -> (String, String) {
        let (mut line, mut dots, mut step) = (String::new(), String::new(), "M");
        for (at, value) in &series.points {
            let Some(value) = value.filter(|value| axis.has(*value)) else {
                // A gap lifts the pen.
                step = "M";
                continue;
            };
            let place = format!("{:.1} {:.1}", self.x(*at), y(value));
            // A point without neighbors is a dot.
            let dot = if step == "M" { "h0" } else { "" };
            let _ = write!(line, "{step}{place}{dot}");
            let _ = write!(dots, "M{place}h0");
            step = "L";
        }
        (line, dots)
    }

    fn outage_labels(&self, html: &mut String) {
        for band in self.bands.iter().filter(|band| band.kind == BandKind::Outage) {
            let middle = self.axis.part(f64::midpoint(band.from, band.to));
            // Beside an edge the label stands within the chart.
            let shift = (middle * 100.0).clamp(0.0, 100.0);
            let _ = write!(
                html,
                "<span class=\"outage-label\" style=\"left:{shift:.1}%;transform:translateX(-{shift:.0}%)\">{}</span>",
                escape(&band.label)
            );
        }
    }

    /// The labels of the marks, above the panels: in two arrangements, for wide screens and for narrow ones.
    fn mark_labels(&self, html: &mut String) {
        if self.marks.is_empty() {
            return;
        }
        let [wide, narrow] = [WIDE, NARROW].map(|width| self.places(width));
        let lines = |places: &[Option<LabelPlace>]| {
            places.iter().flatten().map(|place| place.line + 1).max().unwrap_or(0)
        };
        let _ = writeln!(
            html,
            "<div class=\"marks\" style=\"--wide:{};--narrow:{}\">",
            lines(&wide),
            lines(&narrow)
        );
        for (mark, (wide, narrow)) in self.marks.iter().zip(wide.iter().zip(&narrow)) {
            let mut class = match mark.kind {
                MarkKind::Directive => "directive".to_string(),
                MarkKind::Leader => "leader".to_string(),
            };
            let mut style = format!("left:{:.2}%", self.axis.part(mark.at) * 100.0);
            for (width, place) in [("wide", wide), ("narrow", narrow)] {
                match place {
                    None => {
                        let _ = write!(class, " not-{width}");
                    }
                    Some(LabelPlace { line, leftward }) => {
                        let _ = write!(style, ";--{}:{line}", &width[..1]);
                        if *leftward {
                            let _ = write!(class, " left-{width}");
                        }
                    }
                }
            }
            let label = escape(&mark.label);
            let _ = writeln!(html, "<span class=\"{class}\" style=\"{style}\">{label}</span>");
        }
        html.push_str("</div>\n");
    }

    /// For each mark where its label stands clear of the others in this width, if there is such a place.
    fn places(&self, width: f64) -> Vec<Option<LabelPlace>> {
        let mut ends = [f64::MIN; LABEL_LINES_MAX];
        let place = |mark: &Mark| {
            let at = self.axis.part(mark.at) * width;
            let length = LETTER * float(mark.label.chars().count() as u64) + 10.0;
            let leftward = at + length > width;
            let (begin, end) = if leftward { (at - length, at) } else { (at, at + length) };
            let line = ends.iter().position(|taken| *taken <= begin).filter(|_| begin >= 0.0)?;
            ends[line] = end;
            Some(LabelPlace { line, leftward })
        };
        self.marks.iter().map(place).collect()
    }

    /// For each place of the axis the values of all lines there, in front of the panels.
    fn readings(&self, html: &mut String) {
        let mut places: Vec<f64> = Vec::new();
        let series = self.panels.iter().flat_map(|panel| &panel.series);
        places.extend(series.flat_map(|series| series.points.iter().map(|(at, _)| *at)));
        places.sort_by(f64::total_cmp);
        places.dedup();
        if places.is_empty() {
            return;
        }
        html.push_str("<svg class=\"readings\" viewBox=\"0 0 1000 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\n");
        for (nth, at) in places.iter().enumerate() {
            let x = self.x(*at);
            let edge =
                |other: Option<&f64>, edge: f64| other.map_or(edge, |other| f64::midpoint(x, self.x(*other)));
            let from = edge(nth.checked_sub(1).and_then(|before| places.get(before)), 0.0);
            let to = edge(places.get(nth + 1), WIDTH);
            let _ = writeln!(
                html,
                "<rect class=\"stop\" x=\"{from:.1}\" y=\"0\" width=\"{:.1}\" height=\"1\"><title>{}</title></rect>",
                (to - from).max(0.1),
                escape(&self.reading(*at))
            );
        }
        html.push_str("</svg>\n");
    }

    /// `1.25 s: 6,164/s; p50 20 us, p99 900 us`.
    fn reading(&self, at: f64) -> String {
        let value = |panel: &Panel, series: &Series| {
            let place = series.points.partition_point(|(point, _)| *point < at);
            let (_, value) = series.points.get(place).filter(|(point, _)| *point <= at)?;
            Some(format!("{} {}", series.name, (panel.shown)((*value)?)))
        };
        let panel = |panel: &Panel| {
            let values: Vec<String> = panel.series.iter().filter_map(|series| value(panel, series)).collect();
            (!values.is_empty()).then(|| values.join(", "))
        };
        let parts: Vec<String> = self.panels.iter().filter_map(panel).collect();
        let parts = if parts.is_empty() { "nothing ended".to_string() } else { parts.join("; ") };
        format!("{}: {parts}", (self.shown)(at))
    }

    fn horizontal(&self, html: &mut String) {
        html.push_str("<div class=\"xs\">");
        for (at, label) in &self.ticks {
            let left = self.axis.part(*at) * 100.0;
            let _ = write!(html, "<span style=\"left:{left:.2}%\">{}</span>", escape(label));
        }
        let _ = writeln!(html, "</div>\n<p class=\"axis\">{}</p>", escape(&self.label));
    }

    /// The meaning of bands and marks.
    fn legend(&self, html: &mut String) {
        let mut keys = Vec::new();
        let has_band = |kind| self.bands.iter().any(|band| band.kind == kind);
        let has_mark = |kind| self.marks.iter().any(|mark| mark.kind == kind);
        for (present, key, name) in [
            (has_band(BandKind::Outage), "key-outage", "longest outage"),
            (has_band(BandKind::Fault), "key-fault", "fault active"),
            (has_mark(MarkKind::Directive), "key-directive", "directive"),
            (has_mark(MarkKind::Leader), "key-leader", "change of leader"),
        ] {
            if present {
                keys.push(format!("<span><i class=\"key {key}\"></i>{name}</span>"));
            }
        }
        if !keys.is_empty() {
            let _ = writeln!(html, "<p class=\"legend\">{}</p>", keys.join(" "));
        }
    }
}

impl Panel {
    /// The names of its lines, where there are several.
    fn legend(&self, html: &mut String) {
        if self.series.len() < 2 {
            return;
        }
        html.push_str("<p class=\"legend\">");
        for Series { name, style, .. } in &self.series {
            let _ = write!(
                html,
                "<span><svg class=\"key\" viewBox=\"0 0 28 8\"><path class=\"line s{style}\" d=\"M1 4H27\"/></svg>{}</span> ",
                escape(name)
            );
        }
        html.push_str("</p>\n");
    }
}

#[cfg(test)]
mod tests;
