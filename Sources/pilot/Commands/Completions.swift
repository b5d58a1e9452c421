import ArgumentParser

/// `pilot completions`
struct Completions: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints a script that completes commands and options in a shell.",
        discussion: """
            scripts/install and the Debian package put the scripts where the shells look. Without them:

              source <(pilot completions bash)
              pilot completions zsh >"${fpath[1]}/_pilot"
              pilot completions fish >~/.config/fish/completions/pilot.fish
            """)

    /// The shells that there are scripts for.
    enum Shell: String, CaseIterable, ExpressibleByArgument {
        case bash, zsh, fish

        var script: String {
            switch self {
            case .bash: Pilot.completionScript(for: .bash)
            case .zsh: Pilot.completionScript(for: .zsh)
            case .fish: Pilot.completionScript(for: .fish)
            }
        }
    }

    @Argument(help: "The shell.")
    var shell: Shell

    func run() throws { try Console.print(shell.script) }
}
