//! Curves as SVG.

use std::fmt::Write;

/// Curves over one axis.
#[derive(Debug)]
pub(super) struct Plot {
    pub(super) title: &'static str,
    pub(super) across: Axis,
    pub(super) up: Axis,
    pub(super) curves: Vec<Curve>,
}

/// What an axis shows: `ticks` from one end to the other, rising.
#[derive(Debug)]
pub(super) struct Axis {
    pub(super) label: &'static str,
    pub(super) ticks: Vec<f64>,
    pub(super) scale: Scale,
}

/// How an axis grows. Powers are those of the ticks: each is as far from the next.
#[derive(Debug)]
pub(super) enum Scale {
    Even,
    ByTick,
}

/// Points joined by lines.
#[derive(Debug)]
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

impl Plot {
    /// The picture.
    pub(super) fn svg(&self) -> String {
        let mut svg = String::new();
        self.draw(&mut svg).map_or_else(|_| String::new(), |()| svg)
    }

    fn draw(&self, svg: &mut String) -> std::fmt::Result {
        let (right, below) = (LEFT + WIDTH, TOP + HEIGHT);
        writeln!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 400" font-family="sans-serif" font-size="12">"#
        )?;
        writeln!(svg, r#"<rect width="760" height="400" fill="white"/>"#)?;
        writeln!(svg, r#"<text x="{LEFT}" y="20" font-size="14">{}</text>"#, self.title)?;
        for tick in &self.across.ticks {
            let x = LEFT + WIDTH * self.across.place(*tick);
            writeln!(svg, r##"<path d="M{x:.1} {TOP}V{below}" stroke="#ddd"/>"##)?;
            let y = below + 16.0;
            writeln!(svg, r#"<text x="{x:.1}" y="{y}" text-anchor="middle">{tick}</text>"#)?;
        }
        for tick in &self.up.ticks {
            let y = below - HEIGHT * self.up.place(*tick);
            writeln!(svg, r##"<path d="M{LEFT} {y:.1}H{right}" stroke="#ddd"/>"##)?;
            let (x, y) = (LEFT - 6.0, y + 4.0);
            writeln!(svg, r#"<text x="{x}" y="{y:.1}" text-anchor="end">{tick}</text>"#)?;
        }
        let (x, y) = (LEFT + WIDTH / 2.0, below + 36.0);
        writeln!(
            svg,
            r#"<text x="{x}" y="{y}" text-anchor="middle">{}</text>"#,
            self.across.label
        )?;
        let y = TOP + HEIGHT / 2.0;
        writeln!(
            svg,
            r#"<text transform="translate(16 {y}) rotate(-90)" text-anchor="middle">{}</text>"#,
            self.up.label
        )?;
        let mut y = TOP + 4.0;
        for (curve, colour) in self.curves.iter().zip(COLOURS.iter().cycle()) {
            let mut path = String::new();
            for (x, y) in &curve.points {
                let x = LEFT + WIDTH * self.across.place(*x);
                let y = below - HEIGHT * self.up.place(*y);
                write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { 'M' } else { 'L' })?;
            }
            writeln!(svg, r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>"#)?;
            y += 18.0;
            let (x, text) = (right + 12.0, right + 34.0);
            let middle = y - 4.0;
            writeln!(svg, r#"<path d="M{x} {middle}h16" stroke="{colour}" stroke-width="3"/>"#)?;
            writeln!(svg, r#"<text x="{text}" y="{y}">{}</text>"#, curve.name)?;
        }
        writeln!(svg, "</svg>")
    }
}

impl Axis {
    /// Where `value` is, from 0 to 1; what is beyond the ends is at them.
    fn place(&self, value: f64) -> f64 {
        let (Some(first), Some(last)) = (self.ticks.first(), self.ticks.last()) else { return 0.0 };
        let value = value.clamp(*first, *last);
        match self.scale {
            Scale::Even => (value - first) / (last - first),
            Scale::ByTick => {
                let mut steps = 0.0;
                let mut place = 0.0;
                for (from, to) in self.ticks.iter().zip(self.ticks.iter().skip(1)) {
                    if value >= *from {
                        place = steps + ((value - from) / (to - from)).min(1.0);
                    }
                    steps += 1.0;
                }
                place / steps
            }
        }
    }
}

const LEFT: f64 = 64.0;
const TOP: f64 = 36.0;
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;

/// Told apart by those who see colours differently too (Okabe and Ito 2008).
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
