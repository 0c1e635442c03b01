//! Ad labels: the marker by which what we made is found again when an answer was lost.

use vocabulary::ids::AdAccountId;

use crate::{
    answer::{Created, Page},
    call::{Call, Replay},
};

/// Makes a label. Safe to repeat: a second label of the same name marks nothing and costs nothing but one of the
/// 100,000 that an account may have.
pub fn create(account: AdAccountId, name: &str) -> Call<Created> {
    Call::post(format!("/{}/adlabels", account.act()), Replay::Safe).field("name", name)
}

/// An account's labels.
pub fn list(account: AdAccountId) -> Call<Page<Created>> {
    Call::get(format!("/{}/adlabels", account.act())).fields(&["id", "name"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_made_by_name() {
        assert_eq!(create(AdAccountId::new(1), "adplane 7").to_string(), "POST /act_1/adlabels\nname=adplane 7");
    }
}
