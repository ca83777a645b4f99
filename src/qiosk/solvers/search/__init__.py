"""What every search needs: context, incumbents, schedules, tuning and agreement."""
