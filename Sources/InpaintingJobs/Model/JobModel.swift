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
    /// Of the files of each network beside the model, by its path.
    let fingerprintsBeside: [String: String]
    /// Of all files that go with the model and are named by themselves.
    var fingerprintsOfParts: [String: String] { loraFingerprints.merging(fingerprintsBeside) { first, _ in first } }
    /// Of the model and all that goes with it: the same on all ranks.
    public var fingerprintOfNetworks: String { description.fingerprintOfNetworks(fingerprint, fingerprintsBeside) }
    /// Of each LoRA, by the name that the user gave.
    let loraFingerprints: [String: String]

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
        fingerprintsBeside = try description.fingerprintsBeside()
        loraFingerprints = try description.loraFingerprints()
    }

    /// The tokens of a context: as many as the tokenizer says it was trained with, if the text encoder has the room.
    public var contextLength: Int {
        let positions = description.textConfiguration.maximumPositions
        return max(2, min(tokenizer.modelMaximumLength ?? positions, positions))
    }

    /// What makes tokens of prompts.
    func promptReader(_ embeddings: [TextEmbedding] = []) -> PromptReader {
        PromptReader(
            tokenizer, contextLength: contextLength, vocabularySize: description.textConfiguration.vocabularySize,
            embeddings: embeddings)
    }

    /// Whether a job's prompts mean the same in any syntax.
    func readsAlike(_ settings: JobSettings) -> Bool {
        let reader = promptReader()
        return settings.embedding == nil
            && [settings.prompt, settings.negativePrompt].allSatisfy { reader.isReadAlike($0) }
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
        for (option, path, files) in description.networksBeside {
            // An encoder that nobody has named is another one with other adapters.
            let isUnnamed = option == "--image-encoder" && description.namedImageEncoder == nil
            let isOther = isUnnamed && recorded.settings.modelChoice.ipAdapters != choice.ipAdapters
            guard let found = fingerprintsBeside[path], let expected = recorded.fingerprints[path], expected != found,
                !isOther
            else { continue }
            throw Failure.badData(
                "\(option) \(isUnnamed ? files[0] : path): has changed since the recorded job was run (its contents have the hash \(found), "
                    + "then \(expected)); bring the old one back, or name the new one with \(option) by another path")
        }
        for lora in description.loraFiles {
            guard let found = loraFingerprints[lora], let expected = recorded.fingerprints[lora], found != expected
            else { continue }
            throw Failure.badData(
                "--lora \(lora): has changed since the recorded job was run (its contents have the hash \(found), then "
                    + "\(expected)); bring the old file back, or copy the new one and name the copy with --lora")
        }
        guard choice.names(recorded.settings.modelChoice), let expected = recorded.modelFingerprint,
            expected != fingerprint
        else { return }
        throw Failure.badData(
            "--model \(choice.name): is another model than when the recorded job was run (the contents of "
                + "\(description.files.path) have the hash \(fingerprint), then \(expected)); bring the old one back, "
                + "or name the new one with --model by another path")
    }
}
