use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt;

use super::*;

type Tokens = Arc<Mutex<Vec<String>>>;

/// Pages with the tokens "", "1" and "2". The second is empty. Every requested token is added to `tokens`.
fn pages(tokens: &Tokens) -> RunPages {
    let tokens = tokens.clone();
    let fetch = move |request: ListByThreadRequest| {
        tokens.lock().unwrap().push(request.page_token.clone());
        let (ids, next): (&[&str], _) = match request.page_token.as_str() {
            "" => (&["a", "b"], "1"),
            "1" => (&[], "2"),
            _ => (&["c"], ""),
        };
        let runs = ids.iter().map(|id| Run { run_id: (*id).into(), ..Run::default() }).collect();
        let response = ListByThreadResponse { runs, next_page_token: next.into() };
        Box::pin(async { Ok(response) }) as _
    };
    RunPages::new("t".into(), Box::new(fetch))
}

#[tokio::test]
async fn a_page_is_requested_when_its_first_run_is_needed() {
    let tokens = Tokens::default();
    let mut runs = pages(&tokens);
    assert_eq!(runs.next().await.unwrap().unwrap().run_id, "a");
    assert_eq!(*tokens.lock().unwrap(), [""]);
}

#[tokio::test]
async fn the_stream_covers_all_pages() {
    let tokens = Tokens::default();
    let runs: Vec<_> =
        pages(&tokens).into_stream().map_ok(|run| run.run_id).try_collect().await.unwrap();
    assert_eq!(runs, ["a", "b", "c"]);
    assert_eq!(*tokens.lock().unwrap(), ["", "1", "2"]);
}
