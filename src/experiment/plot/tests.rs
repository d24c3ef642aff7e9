//! Strange points, and labels that need room.

use super::*;

fn plot(scale: Scale, points: Vec<(f64, Option<f64>)>) -> String {
    let series = vec![Series { name: "p50".to_string(), color: 0, points }];
    Plot { vertical: scale, series, ticks: seconds(3.0), ..empty() }.figure()
}

fn empty() -> Plot {
    Plot {
        title: "a <b>".to_string(),
        series: Vec::new(),
        bands: Vec::new(),
        marks: Vec::new(),
        vertical: Scale::Linear,
        horizontal: Scale::Linear,
        ticks: seconds(10.0),
        axis: "time",
        shown: |value| format!("{value}"),
    }
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
    let plot = Plot { marks: marks.collect(), ..empty() };
    let places = plot.places(&plot.frame());
    let lines: Vec<Option<u64>> = places.iter().map(|place| place.map(|place| place.line)).collect();
    assert_eq!(lines[..6], [Some(0), Some(1), Some(2), Some(3), Some(4), None]);
}

#[test]
fn a_label_at_the_right_end_stands_left_of_its_mark() {
    let marks = [9.0, 9.9].map(|at| Mark { at, label: "restart all".to_string() });
    let plot = Plot { marks: marks.into(), ..empty() };
    let places = plot.places(&plot.frame());
    let place = |line, leftward| Some(LabelPlace { line, leftward });
    assert_eq!(places, [place(0, false), place(1, true)]);
    assert!(plot.figure().contains("text-anchor=\"end\">restart all<"));
}

#[test]
fn a_gap_lifts_the_pen() {
    let svg = plot(Scale::Linear, vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(1.0)), (3.0, Some(2.0))]);
    let path = svg.lines().find(|line| line.contains("<path")).expect("a line");
    assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
}
