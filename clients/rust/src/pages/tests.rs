use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt;

use super::*;

type Asked = Arc<Mutex<Vec<String>>>;

/// Pages "", "1" and "2", of which the second is empty.
fn pages(asked: &Asked) -> RunPages {
    let asked = asked.clone();
    let fetch = move |request: ListByThreadRequest| {
        asked.lock().unwrap().push(request.page_token.clone());
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
async fn pages_are_asked_for_as_they_are_needed() {
    let asked = Asked::default();
    let mut runs = pages(&asked);
    assert_eq!(runs.next().await.unwrap().unwrap().run_id, "a");
    assert_eq!(*asked.lock().unwrap(), [""]);
}

#[tokio::test]
async fn it_is_a_stream_over_all_pages() {
    let asked = Asked::default();
    let runs: Vec<_> =
        pages(&asked).into_stream().map_ok(|run| run.run_id).try_collect().await.unwrap();
    assert_eq!(runs, ["a", "b", "c"]);
    assert_eq!(*asked.lock().unwrap(), ["", "1", "2"]);
}
