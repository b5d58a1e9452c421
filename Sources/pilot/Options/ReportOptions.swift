import ArgumentParser

/// How a job tells what it is at.
enum ProgressStyle: String, CaseIterable, ExpressibleByArgument {
    /// A bar on a terminal, lines elsewhere.
    case auto
    /// A line that is drawn over itself.
    case bar
    /// Lines for a log, the rarer the longer the job takes.
    case lines
    case none
}

/// What a command says beside its results.
struct ReportOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "How far the job is: a bar, lines as for a log, or nothing. auto has a bar on a terminal, under mpirun on "
                + "this machine too, and lines elsewhere.", valueName: "style"))
    var progress = ProgressStyle.auto

    @Flag(name: [.customShort("q"), .long], help: "Say nothing but warnings and errors.")
    var quiet = false

    /// What `progress` comes to here.
    var style: ProgressStyle {
        if quiet { return .none }
        guard progress == .auto else { return progress }
        return Console.terminal == nil ? .lines : .bar
    }

    /// Writes `pilot: …` to standard error, unless nobody wants to know.
    func note(_ text: String) {
        if !quiet { Console.note(text) }
    }
}
