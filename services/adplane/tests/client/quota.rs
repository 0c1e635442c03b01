//! `adplane quota`.

use harness::{AD_ACCOUNT, Suite, request_id};
use proto::campaigns::v1::{Campaign, CreateCampaignRequest, Objective};
use serde_json::json;
use tonic::Code;

use crate::terminal::Terminal;

/// As `quota explain` tells it, with what differs from run to run left out.
const CLOSED: &str = "\
ACCOUNT: Meta lets no ads_management calls through until TIME UTC (SPAN).

Buckets (# ours, o others', class: when a call of it goes)
bucket used - safety interactive sync bulk backfill
act ads_management N of N [#ooooooooo] in SPAN in SPAN in SPAN in SPAN in SPAN
app ads_management N - now now now now now

Who spent it in the hour before
tenant caller for call calls points told to wait longest wait
acme services/campaigns campaigns.write POST act/campaigns N N N SPAN
acme services/campaigns campaigns.write POST act/adlabels N N N SPAN
acme services/campaigns campaigns.read GET act N N N SPAN

Why
At TIME UTC Meta's error code N, subcode N, closed ads_management calls until TIME UTC (x-fb-trace-id TRACE).
In the hour before, N calls were let through, most of them (N %) by services/campaigns for campaigns.write with POST \
act/campaigns of tenants/acme.
Others use it beside us: Meta counts N ads_management calls more than we sent.
N calls were told to wait, the last at TIME UTC for SPAN: Meta had closed ads_management calls.

Who was told to wait
last times class call waits for because told to wait
MOMENT N interactive POST act/campaigns act ads_management closed SPAN

What happened
MOMENT others had used N ads_management calls beside us
MOMENT Meta reported N % of CPU or wall time used by ads_management calls
MOMENT Meta's error code N, subcode N, closed ads_management calls until TIME UTC (x-fb-trace-id TRACE)

Next
Wait until TIME UTC: no call goes before, also no pause, since Meta would refuse it. What must stop now can be paused in \
Meta's Ads Manager. Then one call tries, and the rest follows by itself.
";

async fn create(suite: &Suite, name: &str) -> Result<(), Code> {
    let request = CreateCampaignRequest {
        parent: AD_ACCOUNT.to_owned(),
        campaign: Some(Campaign {
            name: Some(name.to_owned()),
            objective: Objective::OutcomeTraffic.into(),
            daily_budget: Some(5_000),
            ..Campaign::default()
        }),
        request_id: request_id(),
        validate_only: false,
    };
    let made = suite.client().unwrap().campaigns().create_campaign(request).await;
    made.map(|_| ()).map_err(|status| status.code())
}

/// The text without numbers, moments, spans and the widths of columns, and without buckets whose seconds may be over.
fn settled(text: &str) -> String {
    let account = AD_ACCOUNT.trim_start_matches("adAccounts/");
    let passing = |line: &&str| !line.contains("writes a second") && !line.contains(" score ");
    let lines = text.lines().filter(passing).map(|line| {
        let line = line.replace(AD_ACCOUNT, "ACCOUNT").replace(account, "act");
        let line = line.split(' ').filter(|word| !word.is_empty()).map(word).collect::<Vec<_>>().join(" ");
        let line =
            match line.split_once("x-fb-trace-id ").and_then(|(before, rest)| Some((before, rest.split_once(')')?))) {
                Some((before, (_, after))) => format!("{before}x-fb-trace-id TRACE){after}"),
                None => line,
            };
        // Whether the first of them asked a second time is no matter here.
        let line = line.replace("N call was told", "N calls were told");
        // Shortly before midnight a time has its day.
        let line = line.replace("DAY TIME", "TIME");
        line.replace("N min", "SPAN").replace("N s", "SPAN")
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn word(word: &str) -> String {
    let bare = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    let digits = bare.chars().filter(char::is_ascii_digit).count();
    let kind = match (bare.len(), digits) {
        (20, 14) => "MOMENT",
        (8, 6) => "TIME",
        (10, 8) => "DAY",
        (length, digits) if length == digits && digits > 0 => "N",
        _ => return word.to_owned(),
    };
    word.replace(bare, kind)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_account_is_explained_so_that_a_tired_person_understands() {
    let suite = Suite::start().await.unwrap();
    let terminal = Terminal::of_tenant(&suite);
    let account = AD_ACCOUNT.trim_start_matches("adAccounts/");
    create(&suite, "Before").await.unwrap();
    let open = terminal.adplane(&["quota", "explain", account]).await.well();
    assert!(open.stdout.contains("nothing holds calls back"), "{}", open.stdout);

    let storm = json!({
        "matcher": { "account": account }, "action": { "throttle_storm": { "code": 80_004, "seconds": 900 } },
    });
    suite.sandbox.fault(&storm).await.unwrap();
    for name in ["Refused by Meta", "Refused by us"] {
        assert_eq!(create(&suite, name).await, Err(Code::ResourceExhausted), "{name}");
    }
    let said = terminal.adplane(&["quota", "explain", account]).await.well();
    assert_eq!(settled(&said.stdout), CLOSED, "{}", said.stdout);
    suite.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn use_and_buckets_are_listed_and_what_is_mistyped_is_told() {
    let suite = Suite::start().await.unwrap();
    let terminal = Terminal::of_tenant(&suite);
    let account = AD_ACCOUNT.trim_start_matches("adAccounts/");
    create(&suite, "Counted").await.unwrap();
    let frozen = terminal.adplane(&["quota", "freeze", account, "--until", "30m", "--reason", "a test"]).await.well();
    assert!(frozen.stdout.starts_with(&format!("{AD_ACCOUNT} is frozen until ")), "{}", frozen.stdout);
    let explained = terminal.adplane(&["quota", "explain", account]).await.well();
    assert!(
        explained.stdout.contains("are frozen until ") && explained.stdout.contains("a test"),
        "{}",
        explained.stdout
    );
    terminal.adplane(&["quota", "unfreeze", account, "--reason", "a test"]).await.well();
    let list = terminal.adplane(&["quota", "list"]).await.well();
    let bucket = list.stdout.lines().find(|line| line.starts_with(&format!("{account} ads_management")));
    assert!(bucket.is_some_and(|line| line.contains("[#")), "{}", list.stdout);

    let before = terminal.adplane(&["quota", "policy", "get", account]).await.well();
    assert!(before.stdout.starts_with(&format!("{AD_ACCOUNT}: nothing is set by tenants/")), "{}", before.stdout);
    let lower = ["quota", "policy", "set", account, "--ceiling", "ads_insights=77", "--cap", "bulk=50"];
    let lower = terminal.adplane(&lower).await.well();
    let line = lower.stdout.lines().find(|line| line.contains("ceilings.ads_insights")).expect(&lower.stdout);
    assert!(line.contains("77") && line.contains("tenant"), "{line}");
    let listed = terminal.adplane(&["quota", "policy", "list"]).await.well();
    assert!(listed.stdout.contains("ads_insights=77, bulk=50%"), "{}", listed.stdout);
    terminal.adplane(&["quota", "policy", "set", account, "--clear", "ceilings,caps"]).await.well();

    let watch = ["quota", "watch", "--account", account, "--limit", "1"];
    let watched = terminal.adplane(&watch).await.well();
    assert!(watched.stdout.starts_with(account) && watched.stdout.lines().count() == 1, "{}", watched.stdout);

    let usage = ["quota", "usage", "--by", "caller,call", "--account", account];
    let usage = terminal.adplane(&usage).await.well();
    let line = usage.stdout.lines().find(|line| line.contains("POST act/campaigns")).expect(&usage.stdout);
    assert!(line.contains("services/campaigns for campaigns.write"), "{line}");
    let rows = terminal.adplane(&["quota", "usage", "--by", "code", "--json"]).await.well().json();
    assert!(rows.iter().any(|row| row["answers"].is_string()), "{rows:?}");

    for (arguments, code, told) in [
        (&["quota", "explain", "act_77"][..], 5, AD_ACCOUNT),
        (&["quota", "explain", "acount_1"], 3, "adAccounts/act_{n}"),
        (&["quota", "usage", "--by", "planet"], 2, "tenant"),
        (&["quota", "usage", "--step", "week"], 2, "minute"),
        (&["quota", "usage", "--from", "300d"], 3, "92 days"),
        (&["quota", "freeze", "metaApps/1", "--reason", "mischief"], 4, "operator"),
        (&["quota", "freeze", "act_1", "--until", "soon", "--reason", "x"], 2, "2026-11-22"),
        (&["quota", "unfreeze", account, "--reason", "again"], 3, "not frozen"),
        (&["quota", "exlain", "act_1"], 2, "explain"),
        (&["quota", "policy", "lisst"], 2, "list"),
        (&["quota", "watch", "--resume-token", "nonsense"], 3, "resume_token"),
        (&["quota", "policy", "get", "act_77"], 5, "act_77"),
        (&["quota", "policy", "set", account, "--ceiling", "ads_insights=9000000"], 3, "only an operator"),
        (&["quota", "policy", "set", account, "--cap", "synch=50"], 2, "backfill"),
        (&["quota", "list", "--token", "nonsense"], 4, "token"),
    ] {
        let said = terminal.adplane(arguments).await;
        assert_eq!(said.code, Some(code), "{arguments:?}: {said:?}");
        assert!(said.stderr.contains(told), "{arguments:?} does not tell {told}: {said:?}");
        assert!(said.stdout.is_empty(), "{arguments:?}: {said:?}");
    }
    suite.stop().await.unwrap();
}
