import DiffusionModels
import Failures
import PilotInpainting

/// What jobs need of a model beside its networks, read and checked once for however many jobs.
public struct JobModel: Sendable {
    /// As the user named it; what it predicts is always said, so that no other rank has to find it out.
    public let choice: ModelChoice
    public let description: ModelDescription
    public let scheduler: DDIMScheduler
    public let tokenizer: CLIPTokenizer
    /// Of all files of the model.
    public let fingerprint: String

    /// - Parameter warn: hears of what is allowed and unwise.
    /// - Throws: `Failure` naming the file.
    public init(_ choice: ModelChoice, warn: (String) -> Void) throws {
        description = try ModelDescription(choice)
        var choice = choice
        choice.prediction = description.prediction.type
        self.choice = choice
        scheduler = try description.scheduler(warn: warn)
        tokenizer = try description.tokenizer()
        fingerprint = try description.fingerprint()
    }

    /// The tokens of a context: as many as the tokenizer says it was trained with, if the text encoder has the room.
    public var contextLength: Int {
        let positions = description.textConfiguration.maximumPositions
        return max(2, min(tokenizer.modelMaximumLength ?? positions, positions))
    }

    /// - Throws: `Failure.usage` naming the option when the model can't be used so: its schedule has no so many steps,
    ///   or its network does not see the masked image.
    func check(_ method: PilotParameters) throws {
        try description.check(method.algorithm, modelName: choice.name)
        do {
            try scheduler.validate(steps: method.steps)
        } catch let failure as Failure where failure.kind == .usage {
            throw Failure.usage("--\(failure.message)")
        }
    }

    /// The name may stand for another model than it did: a folder is trained further, the program comes with a better
    /// one, or the working directory has one of the name.
    func checkIsUnchanged(since recorded: JobRecord) throws {
        guard choice.names(recorded.settings.modelChoice), let expected = recorded.modelFingerprint,
            expected != fingerprint
        else { return }
        throw Failure.badData(
            "--model \(choice.name): is another model than when the recorded job was run (the contents of "
                + "\(description.files.path) have the hash \(fingerprint), then \(expected)); bring the old one back, "
                + "or name the new one with --model by another path")
    }
}
