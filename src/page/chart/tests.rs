//! Strange points, and labels that need room.

use super::*;
use crate::page::axis::seconds;

fn chart(scale: Scale, points: Vec<(f64, Option<f64>)>) -> String {
    let series = vec![Series { name: "p50".to_string(), style: 0, points }];
    let panel = Panel { title: "a <b>".to_string(), series, scale, shown: |value| format!("{value}") };
    Chart { panels: vec![panel], ..empty() }.html()
}

fn empty() -> Chart {
    Chart {
        title: "all <of it>".to_string(),
        axis: Axis::time(10.0),
        ticks: seconds(10.0),
        label: "seconds".to_string(),
        shown: Box::new(|at| format!("{at} s")),
        bands: Vec::new(),
        marks: Vec::new(),
        panels: Vec::new(),
        tracks: Vec::new(),
    }
}

fn marks(places: impl IntoIterator<Item = f64>, label: &str) -> Vec<Mark> {
    let mark = |at| Mark { at, label: label.to_string(), kind: MarkKind::Leader };
    places.into_iter().map(mark).collect()
}

#[test]
fn no_points_and_strange_points_make_a_whole_chart() {
    for scale in [Scale::Linear, Scale::Logarithmic] {
        for points in [vec![], vec![(0.0, None)], vec![(0.0, Some(0.0))], vec![(1.0, Some(5.0))]] {
            let html = chart(scale, points);
            assert!(html.contains("a &lt;b&gt;") && html.ends_with("</figure>\n"), "{html}");
            assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
        }
    }
}

#[test]
fn labels_of_marks_never_lie_upon_one_another() {
    let chart =
        Chart { marks: marks((0..20).map(|nth| 1.0 + f64::from(nth) / 100.0), "n1 leads"), ..empty() };
    let lines: Vec<_> = chart.places(WIDE).iter().map(|place| place.map(|place| place.line)).collect();
    assert_eq!(lines[..6], [Some(0), Some(1), Some(2), Some(3), Some(4), None]);
    assert!(chart.html().contains("not-wide not-narrow"), "its title is left");
}

#[test]
fn a_label_at_the_right_end_stands_left_of_its_mark() {
    let chart = Chart { marks: marks([9.0, 9.9], "restart all"), ..empty() };
    let place = |line, leftward| Some(LabelPlace { line, leftward });
    assert_eq!(chart.places(WIDE), [place(0, false), place(1, true)]);
    assert!(chart.html().contains("leader left-wide"));
}

#[test]
fn a_gap_lifts_the_pen_and_a_lonely_point_is_a_dot() {
    let html = chart(Scale::Linear, vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(1.0)), (3.0, Some(2.0))]);
    let path = html.lines().find(|line| line.contains("line s0")).expect("a line");
    assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
    assert!(path.contains("M0.0 75.0h0M"), "{path}");
}

#[test]
fn each_place_has_a_reading_of_all_lines() {
    let html = chart(Scale::Linear, vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(3.0))]);
    let titles: Vec<&str> =
        html.split("<title>").skip(1).filter_map(|rest| rest.split("</title>").next()).collect();
    assert_eq!(titles, ["0 s: p50 1", "1 s: nothing ended", "2 s: p50 3"]);
}
