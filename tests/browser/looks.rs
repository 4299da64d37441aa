//! How a window is looked at: large or as small as a phone, light or dark, and by the rules that every state of the page
//! keeps. With `PICTURES=/tmp/pictures` in the environment each state that is checked leaves `NAME-SIZE-SCHEME.png` there.

use std::{env, fs, path::PathBuf};

use serde_json::json;

use crate::window::{Entry, Window, until};

/// The size of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// A screen of 1440 by 900, used with a mouse.
    Wide,
    /// A phone of 390 by 844, used with a finger.
    Narrow,
}

/// What somebody prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

impl Size {
    pub fn name(self) -> &'static str {
        match self {
            Size::Wide => "wide",
            Size::Narrow => "narrow",
        }
    }
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        }
    }
}

/// After two frames what scripts have changed is laid out and painted.
const PAINTED: &str = "for (let i = 0; i < 2; i += 1) await new Promise(requestAnimationFrame)";
/// What is wider or higher than the window and would be scrolled to. A list that scrolls is as high as it may be.
const OVERFLOW: &str = r"
const { scrollWidth, scrollHeight } = document.scrollingElement, wide = innerWidth, faults = [];
if (scrollHeight !== innerHeight) faults.push(`the document is ${scrollHeight} px high in a window of ${innerHeight}`);
if (scrollWidth > wide) faults.push(`the document is ${scrollWidth} px wide in a window of ${wide}`);
for (const element of document.querySelectorAll('#signin, #threads, #thread-list, #conversation, #history, #people, dialog[open]')) {
  if (element.checkVisibility() && element.scrollWidth > element.clientWidth + 1) faults.push(`#${element.id} is ${element.clientWidth} px wide and holds ${element.scrollWidth}`);
}
return faults;";

impl Window {
    /// From now on it is of this size, and used as such screens are.
    pub async fn has_size(&self, size: Size) {
        match size {
            Size::Wide => self.wide().await,
            Size::Narrow => self.phone().await,
        }
    }

    /// From now on it is a large screen.
    pub async fn wide(&self) {
        self.measures(1440, 900, false).await;
    }

    /// From now on it is as small as a phone.
    pub async fn narrow(&self) {
        self.measures(390, 844, false).await;
    }

    /// The same, and there is no mouse: nothing can be hovered over.
    pub async fn phone(&self) {
        self.measures(390, 844, true).await;
        self.devtools("Emulation.setTouchEmulationEnabled", json!({ "enabled": true, "maxTouchPoints": 1 })).await;
        until("a window without a mouse", || async { self.has_fingers().await }).await;
    }

    /// Whether it is used without a mouse. A page in a new process of the browser forgets it.
    pub async fn has_fingers(&self) -> bool {
        self.run("return matchMedia('(hover: none) and (pointer: coarse)').matches", json!([])).await == true
    }

    pub async fn measures(&self, width: u32, height: u32, mobile: bool) {
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.devtools("Emulation.setDeviceMetricsOverride", screen).await;
    }

    /// From now on the person prefers this.
    pub async fn prefers(&self, scheme: Scheme) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme.name() }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// The network is gone, or back, for this window: the browser says so to the page.
    pub async fn has_network(&self, yes: bool) {
        let conditions = json!({ "offline": !yes, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.devtools("Network.enable", json!({})).await;
        self.devtools("Network.emulateNetworkConditions", conditions).await;
    }

    /// What is wrong with the state that is shown, light and dark: rules of axe-core, what overflows, what the page or the
    /// browser reports. Nothing should be.
    pub async fn faults(&self, state: &str, size: Size) -> Vec<String> {
        let mut faults = Vec::new();
        for scheme in [Scheme::Light, Scheme::Dark] {
            self.prefers(scheme).await;
            self.run_module(PAINTED).await;
            self.picture(state, size, scheme).await;
            let overflow: Vec<String> = serde_json::from_value(self.run(OVERFLOW, json!([])).await).expect("sentences");
            let found = [overflow, self.broken_rules().await].concat();
            faults.extend(found.iter().map(|fault| format!("{state}, {} and {}: {fault}", size.name(), scheme.name())));
        }
        let reports = [self.look().await.reports, self.complaints().await].concat();
        faults.extend(reports.iter().map(|report| format!("{state}, {}: {report}", size.name())));
        faults
    }

    /// Warnings and errors that the console got since the last call. Requests that are refused or find no server are no
    /// fault: some states are about them.
    async fn complaints(&self) -> Vec<String> {
        let complains = |entry: &Entry| entry.source != "network" && ["WARNING", "SEVERE"].contains(&entry.level.as_str());
        self.console().await.into_iter().filter(complains).map(|entry| entry.message).collect()
    }

    async fn picture(&self, state: &str, size: Size, scheme: Scheme) {
        let Some(place) = env::var_os("PICTURES").map(PathBuf::from) else { return };
        fs::create_dir_all(&place).expect("a directory for pictures");
        let file = place.join(format!("{state}-{}-{}.png", size.name(), scheme.name()));
        fs::write(file, self.screenshot().await).expect("a picture is written");
    }
}
