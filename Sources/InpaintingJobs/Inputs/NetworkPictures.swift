import DiffusionModels
import ImageFiles

/// The pictures that a job gives to networks beside its model, as they are in their files.
struct NetworkPictures {
    /// What each ControlNet's map is made from; nil for the photograph.
    let controls: [DecodedImage?]
    /// The same of each T2I-Adapter.
    let t2iAdapters: [DecodedImage?]
    /// What each IP-Adapter shows.
    let ipAdapters: [DecodedImage]

    init(_ settings: JobSettings, read: (JobFile) throws -> DecodedImage) rethrows {
        controls = try (settings.controls ?? []).indices.map { index in
            try JobFile.controlImage(index, settings).map { try read($0) }
        }
        t2iAdapters = try (settings.t2iAdapters ?? []).indices.map { index in
            try JobFile.t2iAdapterImage(index, settings).map { try read($0) }
        }
        ipAdapters = try (settings.ipAdapters ?? []).map { try read(JobFile.ipAdapterImage($0)) }
    }

    /// As the image encoder sees them.
    ///
    /// - Throws: `Failure.badData` for one that it can't see.
    func shown(_ settings: JobSettings, to encoder: ImageEncoderFiles?) throws -> [Latent] {
        guard let encoder else { return [] }
        return try zip(settings.ipAdapters ?? [], ipAdapters).map { adapter, picture in
            try ShownPicture.planes(of: picture, side: encoder.configuration.imageSize, fit: adapter.fit)
        }
    }

    /// What the user should hear of the files. Maps are to fit the photograph.
    func warnings(beside photograph: DecodedImage) -> [String] {
        let maps = (controls + t2iAdapters).compactMap { $0 }.flatMap { picture in
            picture.warnings
                + [picture.fittingWarning(width: photograph.width, height: photograph.height)].compactMap { $0 }
        }
        return maps + ipAdapters.flatMap(\.warnings)
    }
}
