use super::*;

#[test]
fn weights_decide_by_their_sums() {
    let mut builder = Table::builder();
    let [a, b, c] = ["a", "b", "c"].map(|name| builder.cluster(name).unwrap());
    let entry = WeightedCluster::new;
    let weighted = Weighted::new(vec![entry(a, 1), entry(b, 0), entry(c, 3)]).unwrap();
    assert_eq!((weighted.total(), weighted.clusters().len()), (4, 2));
    let quarter = 1u32 << 30;
    for (draw, expect) in [(0, a), (quarter - 1, a), (quarter, c), (u32::MAX, c)] {
        assert_eq!(weighted.choose(&mut Script(vec![draw])).cluster, expect);
    }
}

#[test]
fn weights_must_sum_to_something_that_fits() {
    let mut builder = Table::builder();
    let a = builder.cluster("a").unwrap();
    let sum = |weights: &[u32]| {
        let entries = weights.iter().map(|weight| WeightedCluster::new(a, *weight)).collect();
        Weighted::new(entries).map(|weighted| weighted.total())
    };
    assert_eq!(sum(&[]), Err(Error::NoWeight));
    assert_eq!(sum(&[0, 0]), Err(Error::NoWeight));
    assert_eq!(sum(&[u32::MAX, 0]), Ok(u32::MAX));
    assert_eq!(sum(&[u32::MAX, 1]), Err(Error::TooMuchWeight));
}

#[test]
fn a_header_names_the_cluster() {
    let choice = ClusterChoice::Header(HeaderName::from_static("x-cluster"));
    let choose = |request: &Request| match choice.choose(&request.head(), &mut certain()) {
        Target::Named(name) => name.to_owned(),
        Target::Unnamed(header) => format!("no {header}"),
        Target::Known { .. } => "known".to_owned(),
    };
    assert_eq!(choose(&request("h", "/").header("x-cluster", "one")), "one");
    assert_eq!(choose(&request("h", "/").header("x-cluster", "")), "no x-cluster");
    assert_eq!(choose(&request("h", "/")), "no x-cluster");
}

#[test]
fn clusters_are_named_once_and_must_be_known() {
    let mut builder = Table::builder();
    let (a, b) = (builder.cluster("a").unwrap(), builder.cluster("b").unwrap());
    assert_eq!(builder.cluster("a"), Ok(a));
    let forward = |to| Action::Forward(Forward::new(ClusterChoice::One(to)));
    let host = || VirtualHost::new("v", &["*"]).route(Route::new(all(), forward(b)));
    builder.virtual_host(host());
    let table = builder.build().unwrap();
    let names: Vec<_> = table.clusters().iter().map(|name| &**name).collect();
    assert_eq!((names, table.cluster(b).map(|name| &**name)), (vec!["a", "b"], Some("b")));

    let mut other = Table::builder();
    other.virtual_host(host());
    let unknown = Error::UnknownCluster { virtual_host: "v".into(), route: 0 };
    assert_eq!(other.build().map(|_| ()), Err(unknown));
}

#[test]
fn the_last_override_of_a_filter_counts() {
    let mut overrides = Overrides::default();
    overrides.insert(Override::disabled("rbac"));
    overrides.insert(Override::new("fault", Arc::new(7u32)));
    overrides.insert(Override::new("rbac", Arc::new("config")));
    let names: Vec<_> = overrides.iter().map(|entry| (&*entry.filter, entry.disabled)).collect();
    assert_eq!(names, [("fault", false), ("rbac", false)]);
    let fault = overrides.find("fault").and_then(|entry| entry.config.downcast_ref::<u32>());
    assert_eq!((fault, overrides.find("jwt").is_none()), (Some(&7), true));
    assert_eq!(overrides.clone(), overrides);
}
