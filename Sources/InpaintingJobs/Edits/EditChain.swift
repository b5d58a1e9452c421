import Failures

/// A job, and before it the jobs that made its image, which are repeated from the first photograph.
public struct EditChain: Sendable {
    /// The job that is wanted.
    public let last: InpaintingJob
    /// Those that make its image, in their order.
    private let earlier: [InpaintingJob]
    /// Where the earlier edits are recorded, if there are any.
    private let result: String

    /// A job whose image is there.
    public init(_ job: InpaintingJob) {
        last = job
        earlier = []
        result = ""
    }

    /// All of them, in the order in which they are made.
    public var jobs: [InpaintingJob] { earlier + [last] }

    /// - Parameters:
    ///   - last: a job that repeats a recorded one, on the image that the recorded one has.
    ///   - result: the file with that record.
    /// - Throws: `Failure.usage` if the edits before can't be repeated together.
    public init(_ last: InpaintingJob, from result: String) throws {
        self.result = result
        let edits = last.recorded?.edits ?? []
        var jobs: [InpaintingJob] = []
        var image: KeptPicture?
        for (index, edit) in edits.enumerated() {
            let found = edit.relocated(beside: result)
            let place = "--from \(result), edit \(index + 1) of \(edits.count + 1)"
            guard found.settings.modelChoice == last.settings.modelChoice,
                found.settings.computation == last.settings.computation
            else {
                throw Failure.usage(
                    "\(place): was computed with \(edit.settings.model), \(edit.settings.computation.summary), and the "
                        + "last one is to be with \(last.settings.model), \(last.settings.computation.summary); edits are "
                        + "repeated together on one model: name the last one's image with --image to repeat it alone")
            }
            let names = [index == 0 ? found.settings.image : nil, found.settings.mask, found.settings.initialLatent]
            guard names.allSatisfy({ $0.map(JobRecord.isName) ?? true }) else {
                throw Failure.usage(
                    "\(place): its record does not name its files, which were read from standard input, or recorded with "
                        + "--no-paths; name the last edit's image with --image to repeat it alone")
            }
            var record = edit
            record.edits = index == 0 ? nil : Array(edits[..<index])
            let kept = KeptPicture()
            var job = InpaintingJob(
                settings: found.settings,
                outputs: JobOutputs(picture: "edit.\(edit.settings.resultFormat.suffixes[0])"),
                repeating: found)
            job.link = EditLink(image: image, result: kept, record: record)
            jobs.append(job)
            image = kept
        }
        var last = last
        if let image { last.link = EditLink(image: image) }
        self.last = last
        earlier = jobs
    }

    /// Finds what can be found wrong before anything is computed.
    ///
    /// - Parameters: as for `InpaintingJob.check`.
    /// - Throws: `Failure`.
    public func check(in files: inout FileClaims, overwrites: Bool) throws {
        for (index, job) in earlier.enumerated() {
            do {
                try job.settings.validate()
                try ResultFormat.checkResult(job.outputs.picture)
                for file in job.files {
                    files.read(file.path, by: file.option)
                    try file.check(calledBy: file.option)
                }
            } catch let failure as Failure {
                throw Failure(
                    failure.kind, "--from \(result), edit \(index + 1) of \(earlier.count + 1): \(failure.message)")
            }
        }
        try last.check(in: &files, overwrites: overwrites)
    }
}
