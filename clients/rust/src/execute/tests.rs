use super::*;
use crate::v1::Lease;

#[test]
fn the_lease_defaults_to_the_one_of_the_creation() {
    let ttl = Duration::from_secs(9).try_into().ok();
    let run = Run { lease: Some(Lease { ttl, ..Default::default() }), ..Default::default() };
    let without_lease = ExecuteOptions::default();
    assert_eq!(without_lease.lease_of(&run), Some(Duration::from_secs(9)));
    assert_eq!(without_lease.lease_of(&Run::default()), None);
    let with_lease =
        ExecuteOptions { lease: Some(Duration::from_secs(3)), ..ExecuteOptions::default() };
    assert_eq!(with_lease.lease_of(&run), Some(Duration::from_secs(3)));
}
