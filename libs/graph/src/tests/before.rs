use std::{sync::Mutex, time::Duration};

use futures::future::BoxFuture;

use super::{House, create, meta::Said, on};
use crate::{Before, Error, Refusal};

/// Notes what is announced, and does to it what the test wants.
#[derive(Default)]
struct Word {
    said: Mutex<Vec<(Vec<usize>, bool)>>,
    refuses: bool,
    /// This process is paused for so long once the word is written down, the first time.
    paused: Duration,
}

impl Before for Word {
    fn sending<'a>(&'a self, items: &'a [usize], again: bool) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            self.said.lock().unwrap().push((items.to_vec(), again));
            if !again && !self.paused.is_zero() {
                tokio::time::pause();
                tokio::time::advance(self.paused).await;
                tokio::time::resume();
            }
            if self.refuses { Err("the store is away".into()) } else { Ok(()) }
        })
    }
}

impl Word {
    fn said(&self) -> Vec<(Vec<usize>, bool)> {
        self.said.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn nothing_is_announced_before_the_permit_is_there() {
    let house = House::open().await;
    house.peers.permits.forget_permits(usize::MAX);
    let word = Word::default();
    let on = on();
    let mut sending = std::pin::pin!(house.client.send_announced(&on, create(), &word));
    let asked = async {
        while house.peers.acquires() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut sending => panic!("it was sent without a permit"),
        () = asked => {}
    }
    assert_eq!((word.said(), house.meta.count()), (Vec::new(), 0));
    house.peers.permits.add_permits(1);
    sending.await.unwrap();
    assert_eq!((word.said(), house.meta.count()), (vec![(vec![0], false)], 1));
}

#[tokio::test]
async fn a_sender_that_was_paused_for_longer_than_its_word_is_good_sends_nothing() {
    let house = House::open_with(|settings| settings.tries_max = 1).await;
    let word = Word { paused: Duration::from_secs(6), ..Word::default() };
    let error = house.client.send_announced(&on(), create(), &word).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert_eq!((house.meta.count(), house.peers.releases()), (0, 1));
}

#[tokio::test]
async fn a_sender_that_was_paused_begins_anew_with_another_permit_and_another_word() {
    let house = House::open().await;
    let word = Word { paused: Duration::from_secs(6), ..Word::default() };
    house.client.send_announced(&on(), create(), &word).await.unwrap();
    assert_eq!(word.said(), [(vec![0], false), (vec![0], true)]);
    assert_eq!((house.meta.count(), house.peers.acquires(), house.peers.releases()), (1, 2, 1));
}

#[tokio::test]
async fn a_permit_that_ran_out_while_the_word_was_written_goes_back() {
    let house = House::open_with(|settings| settings.tries_max = 1).await;
    *house.peers.send_before.lock().unwrap() = Duration::from_secs(2);
    let word = Word { paused: Duration::from_secs(3), ..Word::default() };
    assert!(house.client.send_announced(&on(), create(), &word).await.is_err());
    assert_eq!((house.meta.count(), house.peers.releases()), (0, 1));
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_sent() {
    let house = House::open().await;
    let word = Word { refuses: true, ..Word::default() };
    let error = house.client.send_announced(&on(), create(), &word).await.unwrap_err();
    assert!(matches!(error, Error::Withheld { .. }), "{error:?}");
    assert_eq!((house.meta.count(), house.peers.releases()), (0, 1));
    let error = house.client.send_all_announced(&on(), vec![create(), create()], &word).await.unwrap_err();
    assert!(matches!(error, Error::Withheld { .. }), "{error:?}");
    assert_eq!((house.meta.count(), house.peers.releases()), (0, 2));
}

#[tokio::test]
async fn only_the_items_that_go_once_more_are_announced_again() {
    let house = House::open().await;
    let throttled = r#"{"error":{"code":80004,"message":"too many"}}"#;
    house.meta.next(Said::good(&serde_json::json!([
        { "code": 200, "body": r#"{"id":"1"}"# },
        { "code": 400, "body": throttled },
        { "code": 200, "body": r#"{"id":"3"}"# },
    ])));
    let word = Word::default();
    let answers = house.client.send_all_announced(&on(), vec![create(), create(), create()], &word).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(word.said(), [(vec![0, 1, 2], false), (vec![1], true)]);
    assert_eq!(house.peers.costs(), [3, 1]);
}
