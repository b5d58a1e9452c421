extension ExifData {
    /// The same with this resolution.
    ///
    /// - Precondition: the resolution is per metre.
    func saying(_ resolution: PictureMetadata.Resolution) -> ExifData {
        precondition(resolution.isPerMetre, "EXIF data say how large pixels are, and not their aspect")
        func perCentimetre(_ tag: Int, _ perMetre: UInt32) -> Field {
            Field(tag: tag, type: 5, count: 1, value: encoded(Int(perMetre), 4) + encoded(100, 4))
        }
        let centimetre = 3
        let fields = [
            perCentimetre(Tag.horizontalResolution, resolution.horizontal),
            perCentimetre(Tag.verticalResolution, resolution.vertical),
            Field(tag: Tag.resolutionUnit, type: 3, count: 1, value: encoded(centimetre, 2)),
        ]
        return replacing(fields)
    }
}
