/// What all lines of a batch share.
public struct BatchSetup: Sendable {
    /// A file of lines; `-` for standard input.
    public var lines: String
    /// The folder of all outputs.
    public var folder: String
    /// What a line does not say; its model and computation are those of the whole batch.
    public var defaults: JobDraft
    /// Whether outputs may be written over that are not those of their job.
    public var overwrites = false
    /// Whether lines that can't be run are left out, instead of ending the batch.
    public var keepsGoing = false
    /// How many jobs are in flight; nil for as many as keep the engine busy.
    public var jobsInFlight: Int?

    /// Files of the whole batch, which no job may write.
    public var reserved: [String] = []
    /// Whether the outcome has all jobs, and not what came of them alone.
    public var remembersJobs = false

    /// Whether lines are checked as they come, and not all of them before anything is begun.
    var isStream: Bool { lines == "-" }

    public init(lines: String, folder: String, defaults: JobDraft) {
        self.lines = lines
        self.folder = folder
        self.defaults = defaults
    }
}
