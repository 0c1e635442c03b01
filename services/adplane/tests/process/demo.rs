//! `adplane demo`: the main job with its own stack, from nothing to nothing.

use std::time::Duration;

use harness::{adplane, all_gone, port_base};

#[test]
fn the_demo_shows_its_results_and_leaves_no_process_behind() {
    let ended = adplane(&["demo", "--shift-orders", "--port-base", &port_base().unwrap()], &[]).unwrap().end().unwrap();
    assert_eq!(ended.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
    let mut rest = ended.stdout.as_str();
    for section in [
        "What will change: adAccounts/act_1000000000001/plans/",
        "\nCampaign\n",
        "everything is PAUSED",
        "\nAudience: ",
        "rows accepted",
        "received by Meta",
        "\nConversion events\n",
        " accepted\n",
        " delivered to Meta\n",
        " refused\n",
        "\nSpend and purchases by day\n",
        "equal to the account's own totals",
        "\nGraph calls against the quota\n",
        "ads_management",
        "\nTime\n",
    ] {
        let at = rest.find(section);
        let at = at.unwrap_or_else(|| panic!("{section:?} does not follow in\n{}", ended.stdout));
        rest = rest.get(at..).unwrap();
    }
    assert!(ended.processes.len() > 8, "the services, the sandbox and two servers: {:?}", ended.processes);
    all_gone(&ended.processes, Duration::from_secs(5)).unwrap();
}
