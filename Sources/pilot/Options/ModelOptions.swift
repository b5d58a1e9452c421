import ArgumentParser
import DiffusionModels
import InpaintingJobs

/// What is said of a model beside its name.
struct ModelOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "For a model in a single file: take its configurations, tokenizer and scheduler from this folder, in which "
                + "no weights need be (default: those of Stable Diffusion 1.x or 2.x, by the file's shapes).",
            valueName: "folder"))
    var modelConfig: String?

    @Option(
        help: ArgumentHelp(
            "Take the autoencoder from here, in place of the model's: a diffusers folder, or a safetensors file.",
            valueName: "folder or file"))
    var vae: String?

    @Option(
        help: ArgumentHelp(
            "What the network predicts (default: what the model says; a single file of Stable Diffusion 2.x that does "
                + "not say it is tried out).", valueName: "type"))
    var prediction: SchedulerConfiguration.PredictionType?

    func apply(to settings: inout JobSettings) {
        if let modelConfig { settings.modelConfiguration = modelConfig }
        if let vae { settings.autoencoder = vae }
        if let prediction { settings.prediction = prediction }
    }

    /// - Parameter name: a folder, a file, or the name of the shipped model; nil for what is taken where none is named.
    func choice(_ name: String?) -> ModelChoice {
        var choice = ModelChoice(name ?? ShippedModel.nameOrVariable)
        choice.configuration = modelConfig
        choice.autoencoder = vae
        choice.prediction = prediction
        return choice
    }
}

extension SchedulerConfiguration.PredictionType: ExpressibleByArgument {}
