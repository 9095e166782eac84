//! What finding a route costs, by the number of routes.

use std::hint::black_box;

use http::{HeaderMap, Method, Uri};
use mesh_benches::growth::Growth;
use mesh_benches::shared::Error;
use mesh_core::matcher::PathMatcher;
use mesh_core::request::RequestHead;
use mesh_core::rng::XorShift;
use mesh_core::route::{Action, ClusterChoice, Forward, Route, RouteMatch, Table, VirtualHost};

fn main() -> Result<(), Error> {
    let bench = Growth {
        name: "route",
        subjects: &["exact", "prefix", "mixed", "mixed-late"],
        sizes: &[10, 100, 1_000, 10_000],
        most: 1.5,
        run,
    };
    bench.main()
}

/// A pattern, and a path of the same length for every number.
struct Rule {
    pattern: PathMatcher,
    path: Uri,
}

impl Rule {
    fn new(kind: &str, number: usize) -> Result<Self, Error> {
        // Spread as names are, instead of all in a row.
        let name = number.wrapping_mul(0x9e37_79b9) & 0xffff_ffff;
        let path = format!("/shop.{name:08x}.Orders/v1/Find");
        let pattern = match kind {
            "exact" => PathMatcher::exact(&path),
            "prefix" => PathMatcher::prefix(&format!("/shop.{name:08x}.Orders/")),
            "regex" => PathMatcher::safe_regex(&format!("/shop.{name:08x}.Orders/v[0-9]+/.*"))?,
            // One regular expression in twenty, spread evenly: from the first rule on, or such
            // that of ten rules it is the last. Of the others half and half.
            "mixed" if number.is_multiple_of(20) => return Self::new("regex", number),
            "mixed-late" if number % 20 == 9 => return Self::new("regex", number),
            "mixed" | "mixed-late" if number.is_multiple_of(2) => {
                return Self::new("exact", number);
            }
            "mixed" | "mixed-late" => return Self::new("prefix", number),
            other => return Err(format!("unknown kind {other}").into()),
        };
        Ok(Self { pattern, path: path.parse()? })
    }
}

/// Finds routes in an order that visits all, after having found each once.
fn run(kind: &str, size: usize, finds: u32) -> Result<(), Error> {
    let rules = (0..size).map(|number| Rule::new(kind, number)).collect::<Result<Vec<_>, _>>()?;
    let mut builder = Table::builder();
    let to = Action::Forward(Forward::new(ClusterChoice::One(builder.cluster("orders")?)));
    let mut host = VirtualHost::new("shop", &["*"]);
    for rule in &rules {
        host = host.route(Route::new(RouteMatch::new(rule.pattern.clone()), to.clone()));
    }
    builder.virtual_host(host);
    let table = builder.build()?;

    let headers = HeaderMap::new();
    let mut rng = XorShift::new(7);
    for number in 0..size + usize::try_from(finds)? {
        let rule = rules.get(number.wrapping_mul(7_919) % size).ok_or("no rules")?;
        let head = RequestHead::from_pieces(&Method::POST, &rule.path, &headers, "shop.example");
        let found = table.find(black_box(&head), &mut rng);
        black_box(found.map_err(|why| why.to_string())?);
    }
    Ok(())
}
