//! Random times, by arithmetic alone: the logarithm of one system's library differs from that of
//! another in the last digit, and then everything after it does.

use std::time::Duration;

use mesh_core::rng::Rng;

/// A time of an exponential distribution, whose mean is `mean`.
pub(super) fn exponential(mean: Duration, rng: &mut dyn Rng) -> Duration {
    mean.mul_f64(-ln(1.0 - rng.unit()))
}

/// A time of a lognormal distribution, half of which are shorter than `median`.
pub(super) fn lognormal(median: Duration, sigma: f64, rng: &mut dyn Rng) -> Duration {
    median.mul_f64(exp(sigma * normal(rng)))
}

/// The polar method (Marsaglia 1964).
fn normal(rng: &mut dyn Rng) -> f64 {
    loop {
        let (u, v) = (2.0 * rng.unit() - 1.0, 2.0 * rng.unit() - 1.0);
        let s = u * u + v * v;
        if s > 0.0 && s < 1.0 {
            return u * (-2.0 * ln(s) / s).sqrt();
        }
    }
}

/// The natural logarithm of `x`, which is in `(0, 1]`.
fn ln(mut x: f64) -> f64 {
    let mut halvings = 0.0;
    while x < std::f64::consts::FRAC_1_SQRT_2 {
        x *= 2.0;
        halvings += 1.0;
    }
    // ln x = 2 artanh((x - 1) / (x + 1)), where the fraction is below 0.18.
    let ratio = (x - 1.0) / (x + 1.0);
    let (mut power, mut sum) = (ratio, 0.0);
    for odd in (1..24u8).step_by(2) {
        sum += power / f64::from(odd);
        power *= ratio * ratio;
    }
    2.0 * sum - halvings * std::f64::consts::LN_2
}

/// The exponential function of a moderate number.
fn exp(mut x: f64) -> f64 {
    let mut scale = 1.0;
    while x > 0.5 {
        x -= std::f64::consts::LN_2;
        scale *= 2.0;
    }
    while x < -0.5 {
        x += std::f64::consts::LN_2;
        scale /= 2.0;
    }
    let (mut term, mut sum) = (1.0, 1.0);
    for n in 1..18u8 {
        term *= x / f64::from(n);
        sum += term;
    }
    sum * scale
}

#[cfg(test)]
mod tests {
    use mesh_core::rng::XorShift;

    use super::*;

    #[test]
    fn the_functions_are_those_of_the_library() {
        for step in 1..=1_000u16 {
            let x = f64::from(step) / 1_000.0;
            assert!((ln(x) - x.ln()).abs() < 1e-13, "{x}");
            let x = 20.0 * x - 10.0;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-13, "{x}");
        }
    }

    #[test]
    fn times_have_the_mean_and_the_median_that_are_asked_for() {
        let mut rng = XorShift::new(1);
        let second = Duration::from_secs(1);
        let all: Duration = (0..100_000).map(|_| exponential(second, &mut rng)).sum();
        assert!((all.as_secs_f64() / 1e5 - 1.0).abs() < 0.01);
        let shorter = (0..100_000).filter(|_| lognormal(second, 0.5, &mut rng) < second).count();
        assert!((49_500..50_500).contains(&shorter), "{shorter}");
    }
}
