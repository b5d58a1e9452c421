import Failures
import PilotInpainting

/// An inpainting job from its files to its files: one picture, or several with seeds that follow each other.
public struct InpaintingJob: Sendable {
    public let settings: JobSettings
    public let outputs: JobOutputs
    /// The job that this one repeats, if it does.
    public let recorded: JobRecord?

    public init(settings: JobSettings, outputs: JobOutputs, repeating recorded: JobRecord? = nil) {
        self.settings = settings
        self.outputs = outputs
        self.recorded = recorded
    }

    /// Finds what can be found wrong without reading a file.
    ///
    /// - Parameters:
    ///   - files: gets the job's files, and has others that the command reads.
    ///   - overwrites: whether what is there may be written over.
    /// - Throws: `Failure.usage` or `Failure.inputOutput`.
    public func check(in files: inout FileClaims, overwrites: Bool) throws {
        try checkSettings(in: &files)
        if !overwrites { try outputs.checkAreNew() }
        try outputs.checkWritable()
    }

    /// Finds what can be found wrong in settings and names.
    ///
    /// - Throws: `Failure.usage`.
    func checkSettings(in files: inout FileClaims) throws {
        try settings.validate()
        guard settings.initialLatent != StandardInput.name else {
            throw Failure.usage("--initial-latent -: standard input gives an image or a mask; name a file")
        }
        let inputs = JobFile.all(of: settings)
        let streamed = inputs.filter(\.isStandardInput)
        guard streamed.count < 2 else {
            throw Failure.usage(
                "\(streamed.map(\.option).joined(separator: " and ")): only one of them can be -, standard input")
        }
        for file in inputs where !file.isStandardInput { files.read(file.path, by: file.option) }
        // Folders, or single files, which a dump may not be written over.
        if !ShippedModel.isMeant(by: settings.model) { files.read(settings.model, by: "--model") }
        files.read(settings.autoencoder, by: "--vae")
        for lora in settings.lora ?? [] { files.read(lora.file, by: "--lora") }
        try outputs.checkNames(in: &files)
    }

    /// Reads and checks all files of the job, before anything expensive is computed.
    ///
    /// - Throws: `Failure` naming the file or the option.
    public func prepared(for model: JobModel, observer: @escaping JobObserver) throws -> PreparedJob {
        try model.check(steps: settings.method.steps)
        let inputs = try JobInputs(settings, model: model.description, repeating: recorded)
        if let recorded { try model.checkIsUnchanged(since: recorded) }
        for warning in inputs.warnings { observer(.warning(warning)) }
        if inputs.latentMask.isEmpty { observer(.note(inputs.explanationOfEmptyMask)) }
        let record = record(fingerprints: inputs.fingerprints, model: model)
        return PreparedJob(
            model: model, inputs: inputs, outputs: outputs, writer: ResultWriter(inputs: inputs, record: record),
            observer: observer)
    }

    /// What the result will say of this job.
    func record(fingerprints: [String: String], model: JobModel) -> JobRecord {
        let record = JobRecord(
            settings: settings, fingerprints: fingerprints.merging(model.loraFingerprints) { first, _ in first },
            modelFingerprint: model.fingerprint)
        return outputs.recordsPaths ? record : record.withoutPaths()
    }
}
