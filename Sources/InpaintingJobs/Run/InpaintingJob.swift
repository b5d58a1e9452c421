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
    /// - Throws: `Failure.usage` or `Failure.inputOutput`.
    public func check() throws {
        try checkSettings()
        try outputs.checkWritable()
    }

    /// Finds what can be found wrong without the disk.
    ///
    /// - Throws: `Failure.usage`.
    func checkSettings() throws {
        try settings.validate()
        try outputs.checkNames(
            against: [settings.image, settings.mask] + [settings.initialLatent].compactMap { $0 })
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
        let record = JobRecord(
            settings: settings, fingerprints: inputs.fingerprints, modelFingerprint: model.fingerprint)
        return PreparedJob(
            model: model, inputs: inputs, outputs: outputs, writer: ResultWriter(inputs: inputs, record: record),
            observer: observer)
    }
}
