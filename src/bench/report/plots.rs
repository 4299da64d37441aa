//! Draws a figure as SVG. The library writes fixed colours; they are those of the light page, and page.css gives each of
//! them its variable by the attribute that holds it, so the page's colours hold in the dark, too.

use std::ops::Range;

use plotters::{
    coord::ranged1d::{DefaultFormatting, KeyPointHint},
    prelude::*,
};

use super::{
    axis::{Axis, Tick},
    figures::{Colour, Figure, Line, summary},
};

/// The library rounds to whole pixels: it draws on twice as many as are shown.
const FINE: u32 = 2;

/// A size in pixels of the page.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Pixels across and down.
    pub width: u32,
    /// See `width`.
    pub height: u32,
    /// Labels of time along the horizontal axis, at most.
    pub labels: u32,
    /// The name by which page.css shows the size that fits.
    pub class: &'static str,
}

/// Text, grid, and the three colours of lines; page.css knows each of them.
const TEXT: RGBColor = RGBColor(0x55, 0x63, 0x6a);
const GRID: RGBColor = RGBColor(0xd9, 0xe0, 0xe3);

fn rgb(colour: Colour) -> RGBColor {
    match colour {
        Colour::One => RGBColor(0x0b, 0x68, 0x70),
        Colour::Two => RGBColor(0xb3, 0x5c, 0x00),
        Colour::Three => RGBColor(0xa8, 0x26, 0x1c),
    }
}

/// A figure in one size.
///
/// # Panics
/// Never: it is drawn into memory.
pub fn svg(figure: &Figure, size: Size) -> String {
    let mut drawn = String::new();
    let area = SVGBackend::with_string(&mut drawn, (size.width * FINE, size.height * FINE)).into_drawing_area();
    draw(&area, figure, size).expect("memory takes it");
    drop(area);
    let shapes = drawn.split_once('>').map_or("", |(_, shapes)| shapes);
    let (width, height, class) = (size.width * FINE, size.height * FINE, size.class);
    let told = summary(figure);
    format!("<svg class=\"plot {class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{told}\">{shapes}")
}

/// An axis as the library takes it: its own cannot have both lines of the grid and labels of one's choice.
struct Ruled {
    axis: Axis,
    ticks: Vec<f64>,
}

impl Ranged for Ruled {
    type ValueType = f64;
    type FormatOption = DefaultFormatting;

    #[allow(clippy::cast_possible_truncation, reason = "a pixel of a picture")]
    fn map(&self, place: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (place - self.axis.from) / (self.axis.to - self.axis.from);
        from + (f64::from(to - from) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.axis.from..self.axis.to
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Chart<'a, 'b> = ChartContext<'b, SVGBackend<'a>, Cartesian2d<Ruled, Ruled>>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(area: &Area<'a>, figure: &Figure, size: Size) -> Drawn<'a> {
    let (across, up) = (figure.x.ticks(size.labels), figure.y.ticks(size.labels));
    let ruled = |axis: Axis, ticks: &[Tick]| Ruled { axis, ticks: ticks.iter().map(|(at, _)| *at).collect() };
    let label = |ticks: &[Tick], at: f64| {
        ticks
            .iter()
            .find(|(tick, _)| (tick - at).abs() < 1e-9 * at.abs().max(1.0))
            .map_or(String::new(), |(_, label)| label.clone())
    };
    let text = ("sans-serif", 12 * FINE).into_font().color(&TEXT);
    let mut chart = ChartBuilder::on(area)
        .margin_top(8 * FINE)
        .margin_right(20 * FINE)
        .x_label_area_size(36 * FINE)
        .y_label_area_size(54 * FINE)
        .build_cartesian_2d(ruled(figure.x, &across), ruled(figure.y, &up))?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(FINE))
        .axis_style(GRID.stroke_width(FINE))
        .set_all_tick_mark_size(4 * FINE)
        .label_style(text.clone())
        .axis_desc_style(text)
        .x_desc(figure.along)
        .x_label_formatter(&|at| label(&across, *at))
        .y_label_formatter(&|at| label(&up, *at))
        .draw()?;
    for line in &figure.lines {
        for stretch in &line.stretches {
            let points: Vec<(f64, f64)> = stretch.iter().map(|(x, y)| (figure.x.place(*x), figure.y.place(*y))).collect();
            draw_stretch(&mut chart, line, points, figure.y.from)?;
        }
    }
    area.present()
}

fn draw_stretch<'a>(chart: &mut Chart<'a, '_>, line: &Line, points: Vec<(f64, f64)>, ground: f64) -> Drawn<'a> {
    let colour = rgb(line.colour);
    let stroke = colour.stroke_width(if line.colour == Colour::One { 2 } else { 1 } * FINE);
    if let [point] = points[..] {
        chart.draw_series([Circle::new(point, 2 * FINE, colour.filled())])?;
    } else if line.filled {
        chart.draw_series(AreaSeries::new(points, ground, colour.mix(0.14)).border_style(stroke))?;
    } else {
        chart.draw_series(LineSeries::new(points, stroke))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::bench::{example, report::figures::all};

    const SIZE: Size = Size { width: 400, height: 200, labels: 6, class: "wide" };

    #[test]
    fn the_page_has_a_variable_for_every_colour_that_is_drawn() {
        let style = include_str!("page.css");
        let mut drawn = BTreeSet::new();
        for figure in all(&example::results(60, 1.0)) {
            let plot = svg(&figure, SIZE);
            for attribute in ["fill=\"", "stroke=\""] {
                let colours = plot.split(attribute).skip(1).filter_map(|rest| rest.split('"').next());
                drawn.extend(colours.filter(|colour| *colour != "none").map(|colour| format!("{attribute}{colour}\"")));
            }
        }
        assert!(drawn.len() >= 6, "{drawn:?}");
        for colour in drawn {
            // Text has its colour from one rule for all text.
            assert!(style.contains(&format!("[{colour}]")) || colour == "fill=\"#55636A\"", "{colour} in page.css");
        }
    }

    #[test]
    fn a_plot_is_one_element_that_is_told_in_words() {
        for figure in all(&example::results(60, 1.0)) {
            let plot = svg(&figure, SIZE);
            assert!(plot.starts_with("<svg class=\"plot wide\" viewBox=\"0 0 800 400\" role=\"img\" aria-label=\""));
            assert_eq!((plot.matches("<svg").count(), plot.trim_end().ends_with("</svg>")), (1, true), "{}", figure.title);
            assert!(plot.contains("<polyline") && plot.contains(figure.along), "{}", figure.title);
        }
    }

    #[test]
    fn a_lonely_second_is_a_dot() {
        let mut results = example::results(5, 1.0);
        for second in [0, 1, 3, 4] {
            results.seconds[second].delivery_us = None;
        }
        let plot = svg(&all(&results)[0], SIZE);
        let lines = plot
            .split("<polyline")
            .skip(1)
            .filter(|shape| !shape.starts_with(" fill=\"none\" opacity=\"1\" stroke=\"#D9E0E3\""));
        assert_eq!((plot.matches("<circle").count(), lines.count()), (3, 0), "{plot}");
    }
}
