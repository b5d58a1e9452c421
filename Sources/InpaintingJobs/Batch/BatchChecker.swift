import DiffusionModels
import Failures
import PilotInpainting

/// Turns the lines of a batch into jobs, in their order, and finds what can be found wrong with each before anything is
/// computed.
struct BatchChecker {
    /// More would be a mistake; what is known of each is kept.
    private static let mostJobs = 1_000_000
    /// Stands for the command line among the lines.
    private static let lineOfBatch = 0

    let setup: BatchSetup
    let model: JobModel
    let folder: OutputFolder
    /// Whether the folders of a line's outputs are made with the line, and not when all lines are known to be right.
    let makesFolders: Bool
    /// What the lines are read from.
    let source: String
    private var lineNumber = 0
    private var jobCount = 0
    /// Files that lines so far write, and the folders these are in, by the line.
    private var outputs: [String: Int] = [:]
    private var folders: [String: Int] = [:]
    /// Files that lines so far read, with links followed.
    private var inputs: [String: Int] = [:]
    /// Pictures that lines write, by the line: of a file all of them, of a stream those of lines so far.
    private var pictures: [String: Int] = [:]
    /// Of jobs so far, whether their picture is there, by the picture.
    private var isPresent: [String: Bool] = [:]

    init(_ setup: BatchSetup, model: JobModel, folder: OutputFolder, source: String) {
        self.setup = setup
        self.model = model
        self.folder = folder
        self.source = source
        makesFolders = setup.isStream
        for file in setup.reserved {
            guard let parent = OutputFolder.resolve(OutputFolder.parent(of: file)),
                let output = folder.output(at: "\(parent)/\(file.split(separator: "/").last ?? "")")
            else { continue }
            outputs[output] = Self.lineOfBatch
        }
    }

    /// Takes down which pictures the lines are going to make, as far as they are right, so that other lines can begin with
    /// these, wherever they stand.
    mutating func foresee(_ lines: [BatchLine]) {
        for (index, line) in lines.enumerated() {
            guard case .text(let text) = line, pictures.count < Self.mostJobs,
                let json = try? OrderedJSON(parsing: text, file: "the line", advice: ""),
                let name = json["output"]?.string, let file = try? folder.place(name, key: "output")
            else { continue }
            var outputs = JobOutputs(picture: file)
            outputs.count = json["count"]?.integer ?? setup.defaults.extras.count
            guard JobOutputs.counts.contains(outputs.count) else { continue }
            for picture in 0..<outputs.count {
                let file = outputs.picture(picture)
                pictures[file] = pictures[file] ?? index + 1
            }
        }
    }

    /// The jobs of the next line; none of an empty one.
    mutating func jobs(of line: BatchLine) -> Result<[BatchJob], BatchLineError> {
        lineNumber += 1
        do {
            guard case .text(let text) = line else {
                throw Failure.badData("a job's line has \(LineReader.longestLine) bytes at most, and this has more")
            }
            // Spaces, tabs and the carriage return of other systems.
            guard text.contains(where: { ![0x20, 0x09, 0x0D].contains($0) }) else { return .success([]) }
            let jobs = try jobs(of: text)
            if makesFolders { try folder.makeFolders(for: jobs.filter { !$0.isPresent }.flatMap(\.files)) }
            return .success(jobs)
        } catch {
            let failure = error as? Failure ?? .internalFault("unexpected error: \(error)")
            let place = Failure(failure.kind, "\(source) line \(lineNumber): \(failure.message)")
            return .failure(BatchLineError(fault: BatchFault(line: lineNumber, failure: place)))
        }
    }

    private mutating func jobs(of text: [UInt8]) throws -> [BatchJob] {
        var (draft, recorded) = try JobDraft.read(text, defaults: setup.defaults)
        guard draft.missing.isEmpty else {
            throw Failure.badData(
                "\(draft.missing.joined(separator: ", ")): missing; a job needs image, mask, prompt and output, or "
                    + "from and output")
        }
        draft.output = try draft.output.map { try folder.place($0, key: "output") }
        draft.extras.comparison = try draft.extras.comparison.map { try folder.place($0, key: "compare") }
        draft.extras.dump = try draft.extras.dump.map { try folder.place($0, key: "dump") }
        draft.extras.preview = try draft.extras.preview.map { try folder.place($0, key: "preview") }
        var (settings, outputs) = draft.finished()
        var ownFiles = FileClaims()
        try InpaintingJob(settings: settings, outputs: outputs, repeating: recorded).checkSettings(in: &ownFiles)
        if draft.drawsSeed, let seed = seedOfEarlierRun(outputs) { settings.method.seed = seed }
        let job = InpaintingJob(settings: settings, outputs: outputs, repeating: recorded)
        try checkIsOfBatch(settings)
        try model.check(settings.method)
        if let size = settings.size {
            _ = try JobGeometry(photograph: size, asked: size, model: model.description.sizes)
        }
        if let recorded { try model.checkIsUnchanged(since: recorded) }
        let needed = folder.output(named: settings.image).flatMap { pictures[$0] == nil ? nil : $0 }
        let sources = try Self.checkedInputs(settings, but: needed == nil ? nil : "--image")
        _ = try JobPrompts(settings, model: model, repeating: recorded)
        guard jobCount + outputs.count <= Self.mostJobs else {
            throw Failure.badData("a batch has \(Self.mostJobs) pictures at most; begin another with this line")
        }

        var jobs = (0..<outputs.count).map { index in
            let picture = single(job, index)
            let name = picture.outputs.picture.dropFirst(folder.path.count + 1)
            var job = BatchJob(line: lineNumber, index: index, name: String(name), job: picture)
            job.needs = needed
            return job
        }
        let files = jobs.flatMap(\.files)
        try checkAreFree(files, sources)
        for index in jobs.indices where needed == nil || setup.isStream { try decide(&jobs[index]) }
        // Taken only now: a line that is left out takes nothing.
        for file in files {
            self.outputs[file] = lineNumber
            for above in Self.foldersAbove(file, in: folder.path) { folders[above] = lineNumber }
        }
        for source in sources { inputs[source] = inputs[source] ?? lineNumber }
        for job in jobs { pictures[job.picture] = lineNumber }
        jobCount += jobs.count
        return jobs
    }

    /// Finds out whether an earlier run has done the job; what it needs must be decided before.
    ///
    /// - Throws: `Failure.usage` when something else is in its place, unless that may be written over.
    private mutating func decide(_ job: inout BatchJob) throws {
        let waits = job.needs.map { isPresent[$0] != true } ?? false
        job.isPresent = try BatchPresence(model: model, overwrites: setup.overwrites).isPresent(
            job.job, waitsForImage: waits)
        isPresent[job.picture] = job.isPresent
    }

    /// The jobs of all lines in an order in which every image is there before it is needed, and the lines that can't be
    /// run.
    mutating func ordered(_ jobs: [BatchJob]) -> (jobs: [BatchJob], faults: [BatchFault]) {
        let order = BatchOrder(jobs)
        var faults: [Int: Failure] = [:]
        for circle in order.circles {
            let lines = circle.map { "\($0)" }.joined(separator: ", ")
            for line in circle {
                faults[line] = .badData(
                    "image: lines \(lines) each paint on a result of the next, in a circle; one of them needs a photograph"
                )
            }
        }
        var ordered: [BatchJob] = []
        for var job in order.jobs {
            do {
                if let needed = job.needs {
                    guard isPresent[needed] != nil, let line = pictures[needed], faults[line] == nil else {
                        throw lostImage(of: job)
                    }
                    try decide(&job)
                }
                ordered.append(job)
            } catch {
                faults[job.line] = faults[job.line] ?? error as? Failure ?? .internalFault("unexpected error: \(error)")
            }
        }
        for job in order.stranded where faults[job.line] == nil { faults[job.line] = lostImage(of: job) }
        let told = faults.sorted { $0.key < $1.key }.map { line, failure in
            BatchFault(line: line, failure: Failure(failure.kind, "\(source) line \(line): \(failure.message)"))
        }
        return (ordered.filter { faults[$0.line] == nil }, told)
    }

    private func lostImage(of job: BatchJob) -> Failure {
        let line = job.needs.flatMap { pictures[$0] } ?? 0
        return .badData(
            "image: \(quoted(job.job.settings.image)) is the output of line \(line), which can't be run")
    }

    /// A seed that an earlier run has drawn for the line: else its pictures would be another job's.
    private func seedOfEarlierRun(_ outputs: JobOutputs) -> UInt64? {
        (0..<outputs.count).lazy.compactMap { index in
            (try? JobRecord(fromResult: outputs.picture(index))).map { $0.settings.method.seed &- UInt64(index) }
        }.first
    }

    /// One of several pictures as a job of its own.
    private func single(_ job: InpaintingJob, _ index: Int) -> InpaintingJob {
        var settings = job.settings
        settings.method.seed &+= UInt64(index)
        return InpaintingJob(settings: settings, outputs: job.outputs.only(index), repeating: job.recorded)
    }

    /// One engine serves the whole batch.
    private func checkIsOfBatch(_ settings: JobSettings) throws {
        let defaults = setup.defaults.settings
        let (name, computation) = (defaults.model, defaults.computation)
        if settings.model != name {
            let folders = try [settings.model, name].map { OutputFolder.resolve(try ShippedModel.folder(of: $0)) }
            guard folders[0] != nil, folders[0] == folders[1] else {
                throw Failure.badData(
                    "model: a batch has one model, here \(quoted(name)), and this line has \(quoted(settings.model)); "
                        + "put its lines into a batch of their own")
            }
        }
        var choice = settings.modelChoice
        choice.name = name
        guard choice == defaults.modelChoice else {
            throw Failure.badData(
                "vae, model_config, prediction, clip_skip, lora, control, t2i_adapter, ip_adapter, image_encoder: a batch has "
                    + "one model, with one list of LoRAs, one of ControlNets, one of T2I-Adapters and one of IP-Adapters, and this "
                    + "line wants it otherwise; put its lines into a batch of their own"
            )
        }
        guard settings.computation == computation else {
            throw Failure.badData(
                "dtype, backend: a batch computes in one way, here \(computation.summary), and this line wants "
                    + "\(settings.computation.summary); put its lines into a batch of their own")
        }
    }

    /// The files that a job reads, with links followed, but for that of the option.
    private static func checkedInputs(_ settings: JobSettings, but option: String?) throws -> [String] {
        try JobFile.all(of: settings).filter { $0.option != option }.map { file in
            let key = file.option.dropFirst(2).split(separator: "-").joined(separator: "_")
            guard !file.isStandardInput else {
                throw Failure.usage(
                    "\(key): - is standard input, which a batch does not read pictures from; name a file")
            }
            guard !file.path.utf8.contains(0), let resolved = OutputFolder.resolve(file.path) else {
                throw Failure.missingInput("\(key) \(quoted(file.path)): no such file")
            }
            try file.check(calledBy: key)
            return resolved
        }
    }
}

/// A fault as an error, for `Result`.
struct BatchLineError: Error {
    let fault: BatchFault
}

extension BatchChecker {
    private static func foldersAbove(_ file: String, in folder: String) -> [String] {
        var above: [String] = []
        var path = OutputFolder.parent(of: file)
        while path.count > folder.count {
            above.append(path)
            path = OutputFolder.parent(of: path)
        }
        return above
    }

    /// - Throws: `Failure.badData` when another line, or this one, writes or reads one of the files too.
    private func checkAreFree(_ files: [String], _ sources: [String]) throws {
        var own: Set<String> = []
        for file in files {
            let shown = quoted(String(file.dropFirst(folder.path.count + 1)))
            if outputs[file] == Self.lineOfBatch {
                throw Failure.badData(
                    "output: \(shown) is the name of the sheet, or of another file of the batch; name another")
            }
            if let line = outputs[file] {
                throw Failure.badData(
                    "output: \(shown) is an output of line \(line), too; every output needs its own name")
            }
            guard own.insert(file).inserted else {
                throw Failure.badData("output: the line's outputs have one name, \(shown), twice")
            }
            if let line = folders[file] {
                throw Failure.badData("output: \(shown) is a file here and a folder in line \(line)")
            }
            for above in Self.foldersAbove(file, in: folder.path) {
                guard let line = outputs[above] else { continue }
                let name = quoted(String(above.dropFirst(folder.path.count + 1)))
                throw Failure.badData("output: \(name) is a folder here and a file in line \(line)")
            }
            if let resolved = OutputFolder.resolve(file), let line = inputs[resolved] {
                throw Failure.badData(
                    "output: \(shown) is an input of line \(line), and would be written over; name another")
            }
        }
        for source in sources {
            guard let file = folder.output(at: source), let line = outputs[file] else { continue }
            throw Failure.badData(
                "\(quoted(source)) is an input here and an output of line \(line); give it another name")
        }
    }
}
