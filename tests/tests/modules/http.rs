//! `import.http`.

use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::told_server::{Answer, ToldServer};

use super::{Marking, marking};

struct Server(ToldServer);

impl Server {
    async fn start(text: String) -> Self {
        Self(ToldServer::start(Answer::Reply(200, text)).await.unwrap())
    }

    fn answers(&self, answer: Answer) {
        self.0.answers(answer);
    }

    fn brings(&self, text: String) {
        self.answers(Answer::Reply(200, text));
    }

    /// Asks often, and gives up at once.
    fn import(&self, more: &str) -> String {
        let url = self.0.url("/modules/lib.alloy");
        format!(
            "import.http \"lib\" {{\nurl = \"{url}\"\npoll_frequency = \"1s\"\npoll_timeout = \"900ms\"\n{more}\n}}"
        )
    }
}

#[tokio::test]
async fn a_server_that_changes_its_answer_changes_what_runs() {
    let server = Server::start(marking("one")).await;
    let client = "method = \"POST\"\nbody = \"question\"\nheaders = { \"X-A\" = \"b\" }\n\
                  client {\nbasic_auth {\nusername = \"u\"\npassword = \"p\"\n}\n}";
    let run = Marking::start(&server.import(client)).await;
    assert_eq!(run.edge().await, "one");
    let asked = server.0.asked()[0].clone();
    for part in ["POST /modules/lib.alloy HTTP/1.1\r\n", "x-a: b\r\n", "authorization: Basic dTpw\r\n", "question"] {
        assert!(asked.contains(part), "{part:?} is missing in {asked}");
    }
    server.brings(marking("two"));
    run.becomes("two").await;
    for wrong in [Answer::Reply(500, marking("wrong")), Answer::Silence, Answer::Reply(200, "declare {".to_owned())] {
        server.answers(wrong);
        run.becomes_unhealthy("import.http.lib").await;
        assert_eq!(run.edge().await, "two");
        server.brings(marking("two"));
        run.becomes_healthy().await;
    }
    server.brings(marking("three"));
    run.becomes("three").await;
}

#[tokio::test]
async fn a_module_that_cannot_be_fetched_is_refused() {
    let server = Server::start(marking("one")).await;
    let run = Marking::start(&server.import("")).await;
    let refusal = async |answer: Answer| {
        server.answers(answer);
        // Other arguments: with the same ones it would go on.
        let refusal = run.refusal(&server.import("method = \"POST\"")).await;
        assert_eq!(run.edge().await, "one");
        refusal
    };
    let refused = refusal(Answer::Reply(503, String::new())).await;
    assert!(refused.contains("cannot fetch the module: the server answered 503"), "{refused}");
    assert!(refused.contains("config.alloy:2:7"), "{refused}");
    let refused = refusal(Answer::Silence).await;
    assert!(refused.contains("no whole answer within poll_timeout"), "{refused}");
    // What comes over the network may not read this host's files.
    let reading = "import.file \"x\" { filename = \"/etc/x.alloy\" }".to_owned();
    let refused = refusal(Answer::Reply(200, reading)).await;
    assert!(refused.contains("may not bring an import.file"), "{refused}");
    let late = server.import("").replace("900ms", "1s");
    let refused = run.refusal(&late).await;
    assert!(refused.contains("must be less than poll_frequency"), "{refused}");
    let nowhere = run.refusal("import.http \"lib\" { url = \"lib.alloy\" }").await;
    assert!(nowhere.contains("has no scheme"), "{nowhere}");

    // At the start as well.
    server.answers(Answer::Reply(404, String::new()));
    let output = Flamegate::run_to_end(&server.import(""), "127.0.0.1:0").await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && stderr.contains("the server answered 404"), "{stderr}");
}
