extension ModelFiles {
    /// What a single file of these tensors would be taken for that this model is not, in words; nil if nothing is lost.
    ///
    /// - Parameters:
    ///   - scheduler: how the noise is scheduled.
    ///   - clip: the folder with CLIP's merges.
    /// - Throws: `Failure` if a file is wrong.
    public func differenceToFamily(scheduler: SchedulerConfiguration, clip: String) throws -> String? {
        let shapes = try configuration()
        guard let family = ModelFamily(shapes.unet), let standard = family.architecture else {
            return "its networks have sizes of their own"
        }
        var (unet, vae, schedule) = (standard.unet, standard.vae, standard.scheduler)
        (unet.sampleSize, unet.upcastsAttention) = (shapes.unet.sampleSize, shapes.unet.upcastsAttention)
        vae.sampleSize = shapes.vae.sampleSize
        (schedule.predictionType, schedule.rescaleBetasZeroSNR) = (
            scheduler.predictionType, scheduler.rescaleBetasZeroSNR
        )
        if unet != shapes.unet || vae != shapes.vae || !standard.textEncoder.hasSameNetwork(as: shapes.textEncoder) {
            return "its networks have another configuration than \(family.name)"
        }
        if schedule != scheduler { return "its scheduler has another configuration than \(family.name)" }
        let clip = TokenizerSource.clip(folder: clip, paddingToken: family.paddingToken)
        let prompts = try [tokenizer, clip].map {
            let (vocabularySize, length) = (shapes.textEncoder.vocabularySize, shapes.textEncoder.maximumPositions)
            let tokenizer = try $0.tokenizer(vocabularySize: vocabularySize)
            return try PromptReader(tokenizer, contextLength: length, vocabularySize: vocabularySize)
                .read("A photo of 3 cats, naïve & 8k!", .plain, givenBy: "")
        }
        return prompts[0] == prompts[1] ? nil : "its tokenizer is not CLIP's"
    }
}

extension TextEncoderConfiguration {
    /// Whether the layers are the same, whatever the tokens are called.
    fileprivate func hasSameNetwork(as other: TextEncoderConfiguration) -> Bool {
        hiddenSize == other.hiddenSize && intermediateSize == other.intermediateSize && layerCount == other.layerCount
            && headCount == other.headCount && maximumPositions == other.maximumPositions
            && vocabularySize == other.vocabularySize && normEpsilon == other.normEpsilon
            && activation == other.activation
    }
}
