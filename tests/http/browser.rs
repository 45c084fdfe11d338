//! A real browser without a window: Debian's chromium, told what to do over a pipe.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Scratch;

/// How long the browser may take for an answer.
const PATIENCE: Duration = Duration::from_mins(2);

/// How the window is, and what its user likes.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub width: u32,
    pub scheme: &'static str,
    pub has_script: bool,
}

pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    number: u64,
    session: Option<String>,
    /// What the browser complained of since the page was opened.
    complaints: Vec<Value>,
    is_loaded: bool,
    _profile: Scratch,
}

impl Browser {
    /// `None` where there is no chromium.
    pub fn start() -> Option<Browser> {
        if Command::new("chromium").arg("--version").output().is_err() {
            println!("no chromium: run tests/install-peers.sh; the page is not looked at");
            return None;
        }
        let profile = Scratch::new();
        // The browser reads its orders from descriptor 3 and answers on 4.
        let mut child = Command::new("sh")
            .args([
                "-c",
                "exec \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null",
                "sh",
                "chromium",
                "--headless",
                "--no-sandbox",
            ])
            .args(["--remote-debugging-pipe", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"])
            .args(["--disable-background-networking", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(profile.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, messages) = channel();
        thread::spawn(move || {
            for message in BufReader::new(output).split(0) {
                let Ok(message) = message else { break };
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    break;
                }
            }
        });
        let mut browser = Browser {
            child,
            input,
            messages,
            number: 0,
            session: None,
            complaints: Vec::new(),
            is_loaded: false,
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let session = browser.call("Target.attachToTarget", &json!({"targetId": target["targetId"], "flatten": true}));
        browser.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    /// Opens a page and waits until it is loaded.
    #[track_caller]
    pub fn open(&mut self, url: &str, window: Window) {
        let Window { width, scheme, has_script } = window;
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", &features);
        self.call("Emulation.setScriptExecutionDisabled", &json!({"value": !has_script}));
        self.complaints.clear();
        self.is_loaded = false;
        let answer = self.call("Page.navigate", &json!({"url": url}));
        assert!(answer.get("errorText").is_none(), "{url}: {answer}");
        while !self.is_loaded {
            self.receive();
        }
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub fn value(&mut self, expression: &str) -> Value {
        let answer = self
            .call("Runtime.evaluate", &json!({"expression": expression, "returnByValue": true, "awaitPromise": true}));
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Saves a picture of the whole page.
    #[track_caller]
    pub fn take_picture(&mut self, path: &Path) {
        let size = self.call("Page.getLayoutMetrics", &json!({}))["cssContentSize"].clone();
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        let wanted = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let answer = self.call("Page.captureScreenshot", &wanted);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let encoded = path.with_extension("base64");
        fs::write(&encoded, answer["data"].as_str().unwrap()).unwrap();
        let decoded = Command::new("base64").arg("-d").arg(&encoded).output().unwrap();
        fs::write(path, decoded.stdout).unwrap();
        fs::remove_file(encoded).unwrap();
    }

    /// Errors and warnings of the console since the page was opened.
    pub fn complaints(&mut self) -> &[Value] {
        // What was sent before this answer has been read by now.
        self.call("Runtime.getHeapUsage", &json!({}));
        &self.complaints
    }

    #[track_caller]
    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        self.input.flush().unwrap();
        loop {
            let message = self.receive();
            if message["id"] == self.number {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    #[track_caller]
    fn receive(&mut self) -> Value {
        let message = self.messages.recv_timeout(PATIENCE).expect("an answer of chromium");
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded") => {
                self.complaints.push(message["params"].clone());
            }
            Some("Page.loadEventFired") => self.is_loaded = true,
            _ => {}
        }
        message
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to close, it ends its helpers too.
        let _ = self.input.write_all(b"{\"id\": 0, \"method\": \"Browser.close\"}\0");
        let is_over = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(50));
            matches!(self.child.try_wait(), Ok(Some(_)))
        });
        if !is_over {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
