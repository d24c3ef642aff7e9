//! The cumulative curves as SVG, the way the paper draws them: two graphs, time without a leader on a log scale.

use std::fmt::Write;
use std::time::Duration;

use super::Curve;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 44.0;

/// Colors that differ in lightness too, and dashes, so that a curve is known without its color.
const STROKES: [(&str, &str); 6] = [
    ("#1b1b1b", ""),
    ("#b2182b", "7 3"),
    ("#2166ac", ""),
    ("#d6841c", "2 3"),
    ("#1a7f4b", "9 3 2 3"),
    ("#7b3294", ""),
];

/// Both graphs. A curve is drawn in the top graph if its shortest timeout is 150 ms, in the bottom one if its longest is
/// twice the shortest.
pub fn plot(curves: &[Curve]) -> String {
    let top: Vec<&Curve> = curves.iter().filter(|curve| curve.range.min == 150).collect();
    let bottom: Vec<&Curve> = curves.iter().filter(|curve| curve.range.max == 2 * curve.range.min).collect();
    let mut svg = String::new();
    let height = 2.0 * HEIGHT;
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Figure 16: the time to detect and replace a crashed leader</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    graph(&mut svg, 0.0, "More or less randomness in the election timeout", &top, (100.0, 20_000.0));
    graph(&mut svg, HEIGHT, "Shorter or longer election timeouts", &bottom, (5.0, 1_000.0));
    svg.push_str("</svg>\n");
    svg
}

/// One graph, this far down. Its times go from the first to the second, in milliseconds.
fn graph(svg: &mut String, down: f64, title: &str, curves: &[&Curve], (low, high): (f64, f64)) {
    let right = WIDTH - RIGHT;
    let (floor, ceiling) = (down + HEIGHT - BOTTOM, down + TOP);
    let x = |millis: f64| LEFT + (millis.clamp(low, high) / low).ln() / (high / low).ln() * (right - LEFT);
    let y = |part: f64| floor - part * (floor - ceiling);
    let _ =
        writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.0}\" font-weight=\"bold\">{title}</text>", ceiling - 14.0);
    for percent in [0, 20, 40, 60, 80, 100] {
        let at = y(f64::from(percent) / 100.0);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#dddddd\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{percent}%</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    for tick in [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000].map(f64::from) {
        if (low..=high).contains(&tick) {
            let at = x(tick);
            let _ = writeln!(
                svg,
                "<path d=\"M{at:.1} {floor:.1}V{ceiling:.1}\" stroke=\"#eeeeee\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick}</text>",
                floor + 16.0
            );
        }
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"middle\">time without a leader (ms)</text>",
        f64::midpoint(LEFT, right),
        floor + 34.0
    );
    for (place, (curve, (color, dashes))) in curves.iter().zip(STROKES.iter().cycle()).enumerate() {
        let mut points = String::new();
        let mut part = 0.0;
        for thousandths in (0..=1000_u16).step_by(5) {
            let Some(time) = curve.within(thousandths.into()) else { break };
            part = f64::from(thousandths) / 1000.0;
            let _ = write!(points, "{:.1},{:.1} ", x(millis(time)), y(part));
        }
        if part < 1.0 {
            // Trials without a leader lie beyond the right end.
            let _ = write!(points, "{right:.1},{:.1}", y(part));
        }
        let line =
            format!("fill=\"none\" stroke=\"{color}\" stroke-width=\"1.6\" stroke-dasharray=\"{dashes}\"");
        let line = line.replace(" stroke-dasharray=\"\"", "");
        let _ = writeln!(svg, "<polyline points=\"{}\" {line}/>", points.trim_end());
        let at = ceiling + 12.0 + 18.0 * f64::from(u8::try_from(place).unwrap_or(u8::MAX));
        let _ = writeln!(
            svg,
            "<path d=\"M{:.0} {:.1}h26\" {line}/><text x=\"{:.0}\" y=\"{at:.1}\">{}</text>",
            right + 12.0,
            at - 4.0,
            right + 44.0,
            curve.range
        );
    }
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
        assert_eq!(svg.matches("<polyline ").count(), 11, "150-300 ms is in both graphs");
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
