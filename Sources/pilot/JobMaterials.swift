import DiffusionModels
import Failures
import PilotInpainting

/// All of a job that is read before anything is computed, checked each by itself and against the rest.
struct JobMaterials: Sendable {
    let model: ModelDescription
    let scheduler: DDIMScheduler
    let tokenizer: CLIPTokenizer
    let inputs: JobInputs
    /// Of the model.
    let fingerprint: String

    /// - Throws: `Failure` naming the file or the option.
    init(_ settings: JobSettings, repeating recorded: JobRecord?) throws {
        model = try ModelDescription(settings.model)
        scheduler = try model.scheduler()
        do {
            try scheduler.validate(steps: settings.method.steps)
        } catch let failure as Failure where failure.kind == .usage {
            throw Failure.usage("--\(failure.message)")
        }
        tokenizer = try model.tokenizer()
        inputs = try JobInputs(settings, model: model, repeating: recorded)
        fingerprint = try model.fingerprint()
        if let recorded { try checkIsUnchanged(settings.model, since: recorded) }
    }

    /// The tokens of a context: as many as the tokenizer says it was trained with, if the text encoder has the room.
    var contextLength: Int {
        let positions = model.textConfiguration.maximumPositions
        return max(2, min(tokenizer.modelMaximumLength ?? positions, positions))
    }

    /// The UNet, once every tensor of all three networks is known to be there, to fit and to be finite. Reads all
    /// weight files once.
    func checkedUNet() throws -> UNetStage {
        _ = try model.textEncoder()
        _ = try model.autoencoder()
        return try model.unet()
    }

    /// The name may stand for another model than it did: a folder is trained further, the program comes with a better
    /// one, or the working directory has one of the name.
    private func checkIsUnchanged(_ name: String, since recorded: JobRecord) throws {
        guard name == recorded.settings.model, let expected = recorded.modelFingerprint, expected != fingerprint else {
            return
        }
        throw Failure.badData(
            "--model \(name): is another model than when the recorded job was run (the contents of \(model.folder.path) "
                + "have the hash \(fingerprint), then \(expected)); bring the old one back, or name the new one with "
                + "--model by another path")
    }
}
