import ArgumentParser

/// What concerns a batch as a whole.
struct BatchOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The folder for all results; made if it is not there. Nothing is written outside.", valueName: "folder"),
        completion: .directory)
    var output: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How many jobs are begun and not yet finished at a time (default: as many as keep all ranks busy).",
            valueName: "N"),
        transform: whole(1...10_000))
    var jobsInFlight: Int?

    @Flag(help: "Write over files that are in the way and are not what this batch has made before.")
    var overwrite = false

    @Flag(help: "Leave out lines that can't be run, and run the others.")
    var keepGoing = false

    @Option(
        help: ArgumentHelp(
            "Append a JSON object for each job as it ends: line, output, status, seed, seconds, loss, layout, error.",
            valueName: "file.jsonl"),
        completion: .file())
    var results: String?

    @Flag(help: "Print these objects, and no table.")
    var json = false

    @Option(
        help: ArgumentHelp(
            "A contact sheet: image, mask, result and prompt, a row for each job.", valueName: "file.png"),
        completion: .file())
    var sheet: String?
}
