import Failures

/// One picture of a batch.
public struct BatchJob: Sendable {
    /// The line that asks for it, 1 for the first.
    public let line: Int
    /// Its place among the pictures of the line, 0 for the first.
    public let index: Int
    /// The picture's file inside the batch's folder, as the line names it.
    public let name: String
    public let job: InpaintingJob
    /// Whether the picture is there, with the record of this very job.
    public internal(set) var isPresent = false
    /// The picture of another job that is this one's image, if that is one of the batch.
    var needs: String?

    /// The picture's file, as the working directory has it.
    var picture: String { job.outputs.picture }

    /// All files that it writes. Of previews the names' beginning stands for all of them.
    var files: [String] {
        let outputs = job.outputs
        let previews = outputs.preview.map { "\($0)/\(outputs.previewPrefix(0))\(PreviewWriter.beginning)" }
        return [outputs.picture, outputs.comparison, outputs.dump, previews].compactMap { $0 }
    }
}

/// A line that can't be run.
public struct BatchFault: Sendable {
    public let line: Int
    /// Names the file of the lines and the line.
    public let failure: Failure
}

/// What came of a job of a batch, or of a line that can't be run: a line of the results.
public struct BatchResult: Codable, Equatable, Sendable {
    public enum Status: String, Codable, Sendable {
        /// Made by this run.
        case done
        /// Made by an earlier run.
        case present
        /// Begun, and not finished.
        case failed
        /// The line was wrong, and nothing was begun.
        case refused
    }

    public let line: Int
    public var output: String?
    public let status: Status
    public var seed: UInt64?
    public var seconds: Double?
    /// Before the last gradient step of the last optimised timestep; nil without gradient steps.
    public var loss: Loss?
    public var layout: String?
    public var error: String?
    public var exitCode: Int32?

    /// `LossValues` by the names that the results give them.
    public struct Loss: Codable, Equatable, Sendable {
        public let total: Double
        public let background: Double
        public let semantic: Double
    }

    enum CodingKeys: String, CodingKey {
        case line, output, status, seed, seconds, loss, layout, error
        case exitCode = "exit_code"
    }

    public init(line: Int, output: String?, status: Status) {
        self.line = line
        self.output = output
        self.status = status
    }
}

/// What a batch tells whoever watches it, from whatever task.
public enum BatchEvent: Sendable {
    /// A line can't be run.
    case refused(BatchFault)
    /// All lines are read: how many pictures there are to be, and how many of them are there. Not told for lines that
    /// come as they come.
    case counted(jobs: Int, present: Int)
    case started(BatchJob)
    /// What a job tells.
    case job(BatchJob, JobEvent)
    /// The job is done, was there, or failed. Also told of lines that can't be run, after `refused`.
    case finished(BatchResult)
    /// No more lines will come.
    case ended
}

public typealias BatchObserver = @Sendable (BatchEvent) -> Void
