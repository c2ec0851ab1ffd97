//! The line between a browser and the server, which a test cuts and mends: connections break as they do on a train.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What breaks now.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cut {
    Nothing,
    /// Requests whose head has this word.
    Requests(&'static str),
    All,
}

/// Carries what browsers say to its address on to the server.
pub struct Line {
    /// `http://127.0.0.1:41234`
    pub address: String,
    cut: watch::Sender<Cut>,
}

impl Line {
    /// A line to the server of an address such as its own.
    pub async fn to(server: &str) -> Line {
        let server: SocketAddr = server.trim_start_matches("http://").parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let (cut, told) = watch::channel(Cut::Nothing);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (carried, mut told) = (carry(near, server, told.clone()), told.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = carried => {}
                        _ = told.wait_for(|cut| *cut == Cut::All) => {}
                    }
                });
            }
        });
        Line { address, cut }
    }

    /// Breaks what is under way, and all that comes.
    pub fn cut(&self) {
        self.cut.send_replace(Cut::All);
    }

    /// Breaks requests whose head has a word.
    pub fn cut_requests(&self, word: &'static str) {
        self.cut.send_replace(Cut::Requests(word));
    }

    pub fn mend(&self) {
        self.cut.send_replace(Cut::Nothing);
    }
}

/// Both ways, until one end is closed or a request is to break.
async fn carry(near: TcpStream, server: SocketAddr, cut: watch::Receiver<Cut>) -> std::io::Result<()> {
    let (mut from_browser, mut to_browser) = near.into_split();
    let (mut from_server, mut to_server) = TcpStream::connect(server).await?.into_split();
    let asks = async {
        let mut piece = vec![0; 64 * 1024];
        loop {
            let length = from_browser.read(&mut piece).await?;
            let breaks = match *cut.borrow() {
                Cut::Requests(word) => String::from_utf8_lossy(&piece[..length]).contains(word),
                Cut::Nothing | Cut::All => false,
            };
            if length == 0 || breaks {
                return Ok(());
            }
            to_server.write_all(&piece[..length]).await?;
        }
    };
    tokio::select! {
        asked = asks => asked,
        answered = tokio::io::copy(&mut from_server, &mut to_browser) => answered.map(|_| ()),
    }
}
