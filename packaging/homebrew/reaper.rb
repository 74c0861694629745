# Builds reaper from its sources. `ci/release` fills in the address, which tells the version, and the checksum.
class Reaper < Formula
  desc "Ends AI-agent processes that outlived whatever launched them"
  url "@URL@"
  sha256 "@SHA256@"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args
    generate_completions_from_executable(bin/"reaper", "completions")
    system bin/"reaper", "man", man
    pkgshare.install "config.example.toml"
  end

  service do
    run [opt_bin/"reaper", "run"]
    keep_alive crashed: true
    log_path var/"log/reaper.log"
    error_log_path var/"log/reaper.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/reaper --version")
    (testpath/"reaper.toml").write "grace = \"1m\"\n"
    assert_match "the config is sound", shell_output("#{bin}/reaper config check --config #{testpath}/reaper.toml")
  end
end
